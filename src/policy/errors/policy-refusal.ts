/** An entry of `errors[]`: where the input is wrong, as a JSON Pointer, and how. */
export interface InputError {
  readonly path: string;
  readonly message: string;
}

export interface RefusalExtras {
  readonly errors?: readonly InputError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the problem document, such as `retryAfter`. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** A finer word than the code, for error shapes that tell more apart; in no problem document. */
  readonly reason?: string;
}

/** A policy's "no", in the words of RFC 9457. Has no stack trace: it would tell nobody anything, and a flood costs one each time. */
export class PolicyRefusal extends Error {
  constructor(
    readonly status: number,
    /** Stable and machine-readable, `snake_case`. */
    readonly code: string,
    /** The short text: `title` and `error` of the problem. */
    readonly title: string,
    readonly detail: string,
    readonly extras: RefusalExtras = {},
  ) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(detail);
    Error.stackTraceLimit = stackTraceLimit;
  }
}
