// @ts-check

/** @typedef {{ status: number, headers: Headers, body: any, milliseconds: number }} Answer */

const ask = { timeout: 10_000 };

/** Speaks to the server as a client would, and to the reader in plain lines. */
export class Guide {
  #steps = 0;

  /** @param {string} gate address of Gatehouse @param {string} outside address of the stand-in outside world */
  constructor(gate, outside) {
    this.gate = gate;
    this.outside = outside;
  }

  /** Makes sure that somebody is at home. */
  async arrive() {
    const answer = await this.call('/health/ready').catch(() => undefined);
    if (answer?.status !== 200)
      throw new Error(`Nobody answers at ${this.gate}. Start the server first: npm run start:dev`);
  }

  /** @param {string} title */
  chapter(title) {
    process.stdout.write(`\n${title}\n${'─'.repeat(title.length)}\n`);
  }

  /**
   * Tells one thing that happened, and fails the tour if it did not.
   * @param {boolean} happened @param {string} what @param {string} policy which policy did it
   */
  tell(happened, what, policy) {
    if (!happened) throw new Error(`Expected, and not seen: ${what}`);
    this.#steps += 1;
    process.stdout.write(`  ✓ ${what}\n      ${policy}\n`);
  }

  leave() {
    process.stdout.write(`\n${this.#steps} promises, all kept.\n`);
  }

  /** @param {unknown} error */
  lost(error) {
    process.stderr.write(`\n  ✗ ${error instanceof Error ? error.message : String(error)}\n`);
  }

  /**
   * @param {string} path
   * @param {{ method?: string, token?: string, key?: string, body?: unknown }} [options]
   * @returns {Promise<Answer>}
   */
  async call(path, { method, token, key, body } = {}) {
    const start = performance.now();
    const response = await fetch(new URL(path, this.gate), {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      signal: AbortSignal.timeout(ask.timeout),
      headers: {
        'x-correlation-id': `tour-${this.#steps + 1}`,
        ...(token && { authorization: `Bearer ${token}` }),
        ...(key && { 'idempotency-key': key }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
      milliseconds: performance.now() - start,
    };
  }

  /** @param {Record<string, unknown>} claims */
  async token(claims) {
    const { status, body } = await this.call('/dev/tokens', { body: claims });
    if (status >= 300) throw new Error(`The development issuer gave no token (${status})`);
    return /** @type {string} */ (body.access_token);
  }

  /**
   * Asks until the answer satisfies.
   * @template T @param {() => Promise<T>} question @param {(answer: T) => boolean} satisfies @param {string} what
   */
  async until(question, satisfies, what) {
    const end = Date.now() + ask.timeout;
    for (;;) {
      const answer = await question();
      if (satisfies(answer)) return answer;
      if (Date.now() > end) throw new Error(`Not seen in ${ask.timeout / 1000} s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** What the stand-in carrier and CRM have received. @returns {Promise<any>} */
  async sent() {
    return (await fetch(new URL('/_sent', this.outside), { signal: AbortSignal.timeout(ask.timeout) })).json();
  }

  /** Changes how the stand-ins behave. @param {Record<string, string>} mode */
  async outsideIs(mode) {
    const body = JSON.stringify(mode);
    const response = await fetch(new URL('/_mode', this.outside), {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    if (!response.ok) throw new Error('The stand-in outside world does not listen');
  }
}
