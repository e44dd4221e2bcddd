import type { RoutePolicies } from '../routes';

/** The policies of a route as data; the census and `explain` print the same. */
export function policiesOf(route: RoutePolicies): Record<string, unknown> {
  return {
    access: route.public === undefined ? (route.roles ?? ['any role']) : `public: ${route.public}`,
    ...(route.scopes && { scopes: route.scopes }),
    ...(route.scopesTold && { told: 'the scopes of the token and of the route' }),
    tenant: route.tenant ?? (route.crossTenant === undefined ? 'none' : `cross-tenant: ${route.crossTenant}`),
    throttle:
      route.unmetered === undefined
        ? route.public === undefined
          ? 'plan'
          : 'address'
        : `unmetered: ${route.unmetered}`,
    ...(route.tier && { tier: route.tier }),
    class: route.workClass,
    ...(route.idempotent && { idempotent: true }),
    ...(route.errorShape && { errors: `as ${route.errorShape.name} tells them` }),
    ...(route.tokenField !== undefined && { token: `also in the body’s ${route.tokenField}` }),
    ...(route.audited && { audited: route.audited.action }),
    answers: answerOf(route),
  };
}

function answerOf({ answer }: RoutePolicies): string {
  if (!answer) return 'as the handler sends it';
  const what = answer.view?.name ?? (answer.stream === undefined ? 'without a body' : `a stream of ${answer.stream}`);
  return `${answer.status} ${what}`;
}
