import { Reflector } from '@nestjs/core';

/** What the audit log is told of a route's use. */
export interface Audit {
  /** `<thing>.<verb>`, such as `patient.read`; lower case. */
  readonly action: string;
  /** Whether the subjects are known by the handler's result or by the request alone. */
  readonly knownBy: 'result' | 'request';
  readonly subjects: (source: never) => readonly (string | undefined)[];
}

/** What `@AuditedBefore` finds its subjects in. */
export interface AuditedRequest<Body = unknown> {
  readonly params: Readonly<Record<string, string>>;
  readonly body: Body;
}

const Metadata = Reflector.createDecorator<Audit>();

/**
 * Records who used the route on what. What is read does not leave before its entry is durable; what is changed does not
 * commit before: the handler then runs in the transaction of the request's tenant.
 * @param subjects finds the identifiers in the handler's result; of a replayed answer, in what the client was told
 */
export const Audited = Object.assign(
  <Result>(action: string, subjects: (result: Result) => readonly (string | undefined)[]) =>
    Metadata({ action, knownBy: 'result', subjects }),
  { KEY: Metadata.KEY },
);

/**
 * As `Audited`, for changes that commit in transactions of their own (an operator's, across tenants): the entry is
 * durable before the handler begins.
 * @param subjects finds the identifiers in the request
 */
export const AuditedBefore = <Body = unknown>(
  action: string,
  subjects: (request: AuditedRequest<Body>) => readonly (string | undefined)[],
) => Metadata({ action, knownBy: 'request', subjects });

/** The subject of a route that answers with one thing. */
export const idOf = ({ id }: { readonly id: string }): string[] => [id];

/** The subjects of a route that answers with a page. */
export const idsOf = ({ data }: { readonly data: readonly { readonly id: string }[] }): string[] =>
  data.map(({ id }) => id);

/** For a route that answers with nothing of its own, such as a reading of the audit log. */
export const noSubjects = (): string[] => [];
