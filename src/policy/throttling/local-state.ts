import type { LimitReport, ReportSubject } from './limits';

/** A correction in the words of the amending script, without the index of its key. */
export type AmendmentWords = readonly (string | number | readonly number[])[];

/** What this process granted under one key while Redis is away, by the process' clock. */
export interface LocalState {
  /** Requests that count now, on all nodes as far as this one can tell; what Redis knew at the start included. */
  used(now: number): number;
  /** When the newest of them was; of a day's count, any time of that day. */
  usedAt(now: number): number;
  /** Requests that Redis must be told of. */
  readonly granted: number;
  /** How long ago each of them was granted; of a window alone. */
  ages(now: number): readonly number[];
  /** Says whether a request of that weight passes, and what it would cost. */
  judge(subjects: readonly ReportSubject[], weight: number, now: number): LimitReport[];
  /** Takes what was judged last. */
  consume(now: number): void;
  refund(weight: number): void;
  /** Takes in what another state granted under the same key. */
  add(other: LocalState): void;
  /** What Redis must be told; `undefined` where there is nothing. */
  settlement(now: number): AmendmentWords | undefined;
}

/** This node's part of a limit: rounded down, so that all together stay below it, but never nothing. */
export function shareOf(whole: number, nodes: number): number {
  return Math.max(1, Math.floor(whole / nodes));
}
