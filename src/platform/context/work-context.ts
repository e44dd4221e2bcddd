import { Global, Injectable, Module } from '@nestjs/common';
import { type ClsStore, ClsServiceManager } from 'nestjs-cls';

/** Which share of a process and of the database pool a piece of work draws from. */
export type WorkClass = 'critical' | 'standard' | 'bulk';

/** What follows a request, or a job that a request caused, through every `await`. */
export interface WorkContext {
  /** The client's name for the whole affair; in every log line, event and job. */
  readonly correlationId: string;
  /** This process's name for this one piece of work. */
  readonly requestId: string;
  /** W3C Trace Context, carried on as it came. */
  readonly traceparent: string | undefined;
  /** The tenant that Postgres is told of in each transaction; unset means no tenant's rows at all. */
  tenant: string | undefined;
  /** Who acts, as the audit log and the idempotency records name them. */
  actor: string | undefined;
  workClass: WorkClass;
  /** Set when the deadline passed: no further transaction may begin. */
  expired: boolean;
  /** Cancels the statement that runs now, if one does. */
  cancelStatement: (() => void) | undefined;
}

const work = Symbol('work');

interface Store extends ClsStore {
  [work]?: WorkContext;
}

/** Reads and enters the context of the current piece of work. */
@Injectable()
export class Context {
  private readonly cls = ClsServiceManager.getClsService<Store>();

  /** The current context; `undefined` outside of requests and jobs. */
  get current(): WorkContext | undefined {
    return (this.cls.get() as Store | undefined)?.[work];
  }

  /** Runs `callback` and all that it awaits inside `context`. */
  run<Result>(context: WorkContext, callback: () => Result): Result {
    return this.cls.runWith({ [work]: context }, callback);
  }
}

/** A context with nothing known but its names. */
export function freshContext({
  correlationId,
  requestId,
  traceparent,
}: Pick<WorkContext, 'correlationId' | 'requestId' | 'traceparent'>): WorkContext {
  return {
    correlationId,
    requestId,
    traceparent,
    tenant: undefined,
    actor: undefined,
    workClass: 'standard',
    expired: false,
    cancelStatement: undefined,
  };
}

/**
 * Without `ClsModule.forRoot`: it registers a global guard and a global interceptor that do nothing, and the interceptor alone
 * costs every request a chain of observables.
 */
@Global()
@Module({ providers: [Context], exports: [Context] })
export class ContextModule {}
