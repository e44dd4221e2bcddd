import type { RequestState } from '../request-state';
import type { Problem } from './problem';

/** A request, before its route is known, too. */
export interface Refused {
  readonly gate: RequestState;
  /** What the path names. */
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: unknown;
  /** Where it was read. */
  readonly body?: unknown;
}

/** Where refusals (401, 403) are recorded before they are sent. */
export abstract class RefusalRecord {
  /** A promise where the answer must wait; it never rejects. */
  abstract refused(request: Refused, problem: Problem, error: unknown): Promise<void> | undefined;
}
