/** An answer in its final bytes: what a replay must repeat exactly. */
export class Rendered {
  constructor(
    readonly status: number,
    /** The JSON text; `undefined` for an answer without a body. */
    readonly text: string | undefined,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}
