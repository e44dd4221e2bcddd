import { setTimeout as pause } from 'node:timers/promises';

/** Polls until the condition holds; fails with `why` after `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
  why: () => string = () => 'the condition never held',
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`After ${timeoutMs} ms: ${why()}`);
    await pause(10);
  }
}
