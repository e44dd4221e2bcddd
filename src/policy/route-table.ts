import { Injectable } from '@nestjs/common';
import { pathToRegexp } from 'path-to-regexp';
import { PolicyRefusal } from './errors/policy-refusal';
import { type RoutePolicies, Routes } from './routes';

type RoutesByMethod = ReadonlyMap<string, RoutePolicies>;

interface PatternEntry {
  readonly pattern: RegExp;
  readonly routes: RoutesByMethod;
}

interface Table {
  /** Paths without parameters, in lower case: Express matches so. */
  readonly exact: ReadonlyMap<string, RoutesByMethod>;
  /** Paths with parameters, by their first segment; under the empty string, those whose first segment is one. */
  readonly patterns: ReadonlyMap<string, readonly PatternEntry[]>;
}

const everyMethod = ['DELETE', 'GET', 'PATCH', 'POST', 'PUT'];
const special = /[:*{}()[\]\\]/;

/** Which routes a request target leads to, before Express matched one: from the same walk that enforces their policies. */
@Injectable()
export class RouteTable {
  private table: Table | undefined;

  constructor(private readonly routes: Routes) {}

  /** The methods of a request target, sorted, with `HEAD` and `OPTIONS` where they work; `undefined` for an unknown path. */
  methodsOf(target: string): readonly string[] | undefined {
    const found = new Set<string>();
    for (const routes of this.candidates(target)) for (const method of routes.keys()) found.add(method);
    if (found.size === 0) return undefined;
    if (found.has('GET')) found.add('HEAD');
    found.add('OPTIONS');
    return [...found].sort();
  }

  /** The route that a request will match; `undefined` where none will. */
  routeOf(method: string, target: string): RoutePolicies | undefined {
    const own = method === 'HEAD' ? 'GET' : method;
    for (const routes of this.candidates(target)) {
      const route = routes.get(own);
      if (route) return route;
    }
    return undefined;
  }

  /** The routes of every path that fits, by method; a path without parameters first. */
  private *candidates(target: string): Generator<RoutesByMethod> {
    const table = (this.table ??= tableOf(this.routes));
    const mark = target.indexOf('?');
    const path = mark === -1 ? target : target.slice(0, mark);
    const plain = normalised(path);
    const exact = table.exact.get(plain);
    if (exact) yield exact;
    for (const first of [firstSegmentOf(plain), '']) {
      for (const { pattern, routes } of table.patterns.get(first) ?? []) if (pattern.test(path)) yield routes;
    }
  }
}

/** The refusal of a path that does not exist. */
export function notFound(): PolicyRefusal {
  return new PolicyRefusal(404, 'not_found', 'Not Found', 'Nothing is here');
}

function tableOf(routes: Routes): Table {
  const exact = new Map<string, Map<string, RoutePolicies>>();
  const byPattern = new Map<string, Map<string, RoutePolicies>>();
  for (const route of routes.all()) {
    const isExact = !special.test(route.path);
    const paths = isExact ? exact : byPattern;
    const key = isExact ? normalised(route.path) : route.path;
    const methods = paths.get(key) ?? new Map<string, RoutePolicies>();
    paths.set(key, methods);
    for (const method of route.method === 'ALL' ? everyMethod : [route.method]) methods.set(method, route);
  }
  const patterns = new Map<string, PatternEntry[]>();
  for (const [path, methods] of byPattern) {
    const first = firstSegmentOf(normalised(path));
    const key = special.test(first) ? '' : first;
    const { regexp } = pathToRegexp(path, { sensitive: false, end: true, trailing: true });
    patterns.set(key, [...(patterns.get(key) ?? []), { pattern: regexp, routes: methods }]);
  }
  return { exact, patterns };
}

/** As Express compares: without case and without the slash at the end. */
function normalised(path: string): string {
  const lower = path.toLowerCase();
  return lower.length > 1 && lower.endsWith('/') ? lower.slice(0, -1) : lower;
}

function firstSegmentOf(path: string): string {
  const end = path.indexOf('/', 1);
  return end === -1 ? path.slice(1) : path.slice(1, end);
}
