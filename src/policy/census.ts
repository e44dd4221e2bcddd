import { policiesOf } from './openapi/policies';
import type { RoutePolicies } from './routes';

/** One line a route: who reaches it and under which policies. Kept as a reviewed snapshot; `npm run explain` prints it. */
export function censusOf(routes: readonly RoutePolicies[]): string {
  return routes.map((route) => `${route.name}\n${linesOf(policiesOf(route))}`).join('\n');
}

function linesOf(policies: Readonly<Record<string, unknown>>): string {
  return Object.entries(policies)
    .map(([name, value]) => `    ${name.padEnd(12)} ${Array.isArray(value) ? value.join(', ') : String(value)}\n`)
    .join('');
}
