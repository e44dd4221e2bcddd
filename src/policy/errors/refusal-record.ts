import type { RequestState } from '../request-state';
import type { Problem } from './problem';

/** Where refusals (401, 403) are recorded before they are sent. */
export abstract class RefusalRecord {
  /** A promise where the answer must wait; it never rejects. */
  abstract refused(
    request: { readonly gate: RequestState },
    problem: Problem,
    error: unknown,
  ): Promise<void> | undefined;
}
