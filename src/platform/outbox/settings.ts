/** Longer than the longest attempt: 15 s of HTTP exchange, and the waits for a connection before and after. */
export const attemptLeaseSeconds = 30;
/** A delivery that was put on the queue and not begun by then is put there again. */
export const publicationLeaseSeconds = 30;
/** Events a relay takes at once, and deliveries that go onto a queue at once. */
export const batchSize = 500;
/** What a queue may hold, whatever the backlog; the rest waits in Postgres, where it is drawn fairly. */
export const maxQueueDepth = 1_000;
/** Tenants looked at in one draw; the next draw goes on behind them. */
export const tenantsPerDraw = 200;
/** Deliveries are kept for so long after they are done, to answer questions; then they and their events are removed. */
export const keepDoneHours = 24;

export const firstRetryMs = 2_000;
export const mostRetryMs = 300_000;
/** 2 s, 4 s … 5 min, and on every 5 min: the last attempt is about 24 h after the first. */
export const maxAttempts = 296;
/** Each wait is spread by this share, so that what failed together does not come back together. */
const retryJitter = 0.2;
/** No more of a `Retry-After` is believed. */
export const mostRetryAfterMs = 3_600_000;

/**
 * How long to wait after that attempt, in milliseconds.
 * @param attempt 1 for the first
 * @param random from 0 to 1
 */
export function retryDelayMs(attempt: number, retryAfterMs: number | undefined, random: number): number {
  const own = Math.min(mostRetryMs, firstRetryMs * 2 ** Math.min(attempt - 1, 20));
  const spread = own * (1 + retryJitter * (2 * random - 1));
  return Math.round(Math.max(spread, Math.min(retryAfterMs ?? 0, mostRetryAfterMs)));
}
