/** What the API says when it refuses or fails: an RFC 9457 problem, cut to what the operator needs. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';

  constructor(
    /** The problem's `error`, the short text. */
    message: string,
    /** `undefined` when no answer came. */
    readonly status: number | undefined,
    readonly correlationId: string | undefined,
    readonly errors: readonly { readonly path: string; readonly message: string }[] = [],
  ) {
    super(message);
  }
}

export type ReadinessState = 'ok' | 'degraded' | 'down';

/** `GET /health/ready` */
export interface Readiness {
  readonly status: ReadinessState;
  readonly postgres: string;
  readonly redis: string;
  readonly queues: string;
}

/** `GET /me` */
export interface Me {
  readonly userId: string;
  readonly clientId: string;
  readonly practiceId?: string;
  readonly workspaceId?: string;
  readonly accountId?: string;
  readonly role?: string;
  readonly scopes: readonly string[];
  readonly plan: string;
  readonly region: string;
  readonly deviceId?: string;
  readonly usagePlan: string;
}

export interface Page<Item> {
  readonly data: readonly Item[];
  readonly nextCursor: string | null;
}

/** `GET /dead-letters` */
export interface DeadLetter {
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly consumer: string;
  readonly tenantId: string;
  readonly correlationId: string;
  readonly attempts: number;
  readonly lastErrorClass: string;
  readonly occurredAt: string;
  readonly diedAt: string;
}

/** `GET /auth/revocations` */
export interface Revocation {
  readonly id: string;
  readonly jti?: string;
  readonly sub?: string;
  readonly clientId?: string;
  readonly revokedAt: string;
  readonly expiresAt: string;
  readonly revokedBy: string;
}

/** `GET /usage-plans` */
export interface AppPlan {
  readonly clientId: string;
  readonly plan: string;
  readonly changedAt: string;
  readonly changedBy: string;
}

/** `GET /app-usage` */
export interface AppUsages {
  /** When the hour began. */
  readonly since: string;
  readonly data: readonly AppUsage[];
}

export interface AppUsage {
  readonly clientId: string;
  readonly requests: number;
  readonly refused: number;
  readonly plan: string;
}

/** Who tells the session that its token is no longer accepted. */
export type OnUnauthorised = (problem: ApiProblem) => void;

/** The public API, as any client sees it. Every failure is an `ApiProblem`, but for an abort, which stays what it is. */
export class Api {
  constructor(
    private readonly token?: string,
    private readonly onUnauthorised?: OnUnauthorised,
  ) {}

  get<Body>(path: string, signal?: AbortSignal): Promise<Body> {
    return this.send<Body>('GET', path, undefined, signal);
  }

  post<Body>(path: string, body?: unknown): Promise<Body> {
    return this.send<Body>('POST', path, body);
  }

  put<Body>(path: string, body: unknown): Promise<Body> {
    return this.send<Body>('PUT', path, body);
  }

  private async send<Body>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Body> {
    const headers = new Headers({ Accept: 'application/json' });
    if (this.token !== undefined) headers.set('Authorization', `Bearer ${this.token}`);
    if (body !== undefined) headers.set('Content-Type', 'application/json');
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        headers,
        credentials: 'omit',
        cache: 'no-store',
        signal: signal ?? null,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiProblem('The server could not be reached', undefined, undefined);
    }
    if (!response.ok) {
      const problem = await problemIn(response);
      if (response.status === 401 && this.token !== undefined) this.onUnauthorised?.(problem);
      throw problem;
    }
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as Body;
  }
}

/** What a caught value is to the operator. */
export function problemOf(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  return new ApiProblem('The answer could not be understood', undefined, undefined);
}

async function problemIn(response: Response): Promise<ApiProblem> {
  const { status } = response;
  const header = response.headers.get('X-Correlation-Id') ?? undefined;
  const isJson = response.headers.get('Content-Type')?.includes('json') === true;
  if (!isJson) return new ApiProblem(`The server answered ${status}`, status, header);
  const body = (await response.json()) as {
    error?: string;
    correlationId?: string;
    errors?: { path: string; message: string }[];
  };
  const message = body.error ?? `The server answered ${status}`;
  return new ApiProblem(message, status, body.correlationId ?? header, body.errors);
}
