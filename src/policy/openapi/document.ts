import type { INestApplication, Type } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { Config } from '../../platform/config';
import { type RoutePolicies, Routes } from '../routes';
import { errorAnswers, Problem, successAnswer } from './answers';
import { addBodyExamples } from './body-example';
import { policiesOf } from './policies';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type Json = Record<string, unknown>;

const description = `Every route passes the same policies in one order; what this page says of a route is read from the metadata that enforces it.

In development, **Authorize** takes the client id of a demo user (\`scheduling_agent\`, \`provider\`, \`practice_admin\`, \`security_officer\`, \`operator\`), or \`app_standup\` (a bot in the demo workspace, for Slack's methods), and any secret.`;

/** The OpenAPI 3.1 document of all routes: Nest reads the DTOs, the policies' own metadata says the rest. */
export function documentOf(app: INestApplication, config: Config): OpenAPIObject {
  const routes = app.get(Routes).all();
  const views = routes.flatMap(({ answer, errorShape }) =>
    [answer?.view, errorShape?.view].filter((view) => view !== undefined),
  );
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Gatehouse')
    .setDescription(description)
    .setVersion('0.1.0')
    .setLicense('MIT', 'https://spdx.org/licenses/MIT.html')
    .addServer('/', 'This server')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' }, 'token');
  if (!config.isProduction && config.get('AUTH_ISSUER') === undefined) {
    const flows = { clientCredentials: { tokenUrl: '/dev/oauth/token', scopes: {} } };
    builder.addOAuth2({ type: 'oauth2', description: 'The development issuer', flows }, 'development');
  }
  const document = SwaggerModule.createDocument(app, builder.build(), {
    extraModels: [Problem, ...new Set<Type>(views)],
  });
  const schemes = Object.keys(document.components?.securitySchemes ?? {});
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    const operation = (document.paths[path] as Record<string, Operation> | undefined)?.[route.method.toLowerCase()];
    if (operation) describe(operation, route, schemes);
  }
  addBodyExamples(document);
  document.tags = tagsOf(document);
  return modern(document) as OpenAPIObject;
}

function describe(operation: Operation, route: RoutePolicies, schemes: readonly string[]): void {
  const tag = route.path.split('/')[1] ?? 'gatehouse';
  operation.tags = [tag];
  operation.operationId = operationIdOf(route);
  if ((operation.summary ?? '') === '') operation.summary = summaryOf(route);
  // Swagger UI offers fields for these, and a browser sends its own.
  operation.parameters = (operation.parameters ?? []).filter(
    (parameter) => !('name' in parameter && parameter.in === 'header' && ownHeaders.has(parameter.name.toLowerCase())),
  );
  nameForm(operation, route);
  operation.description ??= policiesInWords(route);
  operation.security = route.public === undefined ? schemes.map((scheme) => ({ [scheme]: [] })) : [];
  if (route.idempotent) {
    operation.parameters = [
      ...(operation.parameters ?? []),
      {
        name: 'Idempotency-Key',
        in: 'header',
        required: true,
        description:
          'A second request with the same key gets the first one’s answer; kept 24 hours. `X-Idempotency-Key` is the same.',
        schema: { type: 'string', minLength: 1, maxLength: 255 },
        example: 'b7e2c1d0-9f6a-4d5b-8c3e-2a1f0e9d8c7b',
      },
    ];
  }
  operation.responses = {
    ...successAnswer(route),
    ...errorAnswers(route, refusalsDeclaredIn(operation)),
  } as Operation['responses'];
  Object.assign(operation, { 'x-gatehouse-policies': policiesOf(route) });
}

const ownHeaders: ReadonlySet<string> = new Set(['host', 'authorization']);

/** A body that is taken as a form alone. */
function nameForm({ requestBody }: Operation, { body }: RoutePolicies): void {
  if (body.kind !== 'form' || !requestBody || !('content' in requestBody)) return;
  const { 'application/json': media } = requestBody.content;
  if (media) requestBody.content = { 'application/x-www-form-urlencoded': media };
}

/** What the handler's own `@ApiResponse`s say of refusals, by status. */
function refusalsDeclaredIn({ responses }: Operation): Record<string, string> {
  return Object.fromEntries(
    Object.entries(responses).flatMap(([status, response]) =>
      Number(status) >= 400 && response && 'description' in response ? [[status, response.description]] : [],
    ),
  );
}

/** `POST /appointments/:id/cancel` → `postAppointmentsByIdCancel` */
function operationIdOf({ method, path }: RoutePolicies): string {
  const words = path
    .split(/[/.-]/)
    .filter(Boolean)
    .map((part) => (part.startsWith(':') ? `By-${part.slice(1)}` : part));
  const camel = words.join('-').replaceAll(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
  return method.toLowerCase() + camel;
}

function summaryOf({ controller, handler }: RoutePolicies): string {
  const noun = controller.name.replace(/Controller$/, '').replaceAll(/([a-z])([A-Z])/g, '$1 $2');
  const verb = handler.name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return `${noun}: ${verb}`;
}

function policiesInWords(route: RoutePolicies): string {
  const policies = policiesOf(route) as Record<string, string | string[]>;
  const { access, scopes, tenant, throttle, class: workClass } = policies;
  const who = Array.isArray(access) ? access.join(', ') : access;
  const needed = Array.isArray(scopes) ? ` Scopes: ${scopes.join(', ')}.` : '';
  return `Access: ${who}.${needed} Tenant: ${String(tenant)}. Throttle: ${String(throttle)}. Class: ${String(workClass)}.`;
}

function tagsOf(document: OpenAPIObject): { name: string; description: string }[] {
  const names = new Set(
    Object.values(document.paths).flatMap((item) =>
      Object.values(item as Json).flatMap((operation) => (operation as Operation).tags ?? []),
    ),
  );
  return [...names].sort().map((name) => ({ name, description: `Routes under /${name}` }));
}

/** OpenAPI 3.1 is JSON Schema: `nullable` is no more, and a null is a type. */
function modern(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(modern);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...rest } = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, modern(value)]));
  if (nullable !== true) return nullable === undefined ? rest : { ...rest, nullable };
  if ('allOf' in rest) return { anyOf: [...(rest.allOf as unknown[]), { type: 'null' }] };
  return { ...rest, type: [rest.type, 'null'] };
}
