// @ts-check
/**
 * Times one operation inside a process of its own: reads a {@link Job} from standard input, writes a {@link MicroResult}.
 * The module of a job exports `create(config)` and gives `{ operate, close? }`.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * @typedef {object} Job
 * @property {string} module URL.
 * @property {any} [config]
 * @property {'serial' | 'in flight' | 'race'} mode `serial`: one after the other. `in flight`: `inFlight` under way at any time. `race`: `calls` at once at `startAt`, counting those that answered `true`.
 * @property {number} [inFlight]
 * @property {number} [calls]
 * @property {number} [startAt] Epoch milliseconds.
 * @property {number} [warmupSeconds]
 * @property {number} [seconds]
 *
 * @typedef {{ operate: (i: number) => unknown, close?: () => unknown, [more: string]: any }} Subject
 *
 * @typedef {object} MicroResult
 * @property {number} operations
 * @property {number} seconds
 * @property {number} perSecond
 * @property {number} passed Operations that answered `true`.
 * @property {unknown} [summary] What `summary()` of the subject says.
 */

const BATCH = 256;

/** @param {Subject} subject @param {number} seconds */
async function serial(subject, seconds) {
  let operations = 0;
  let passed = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  do {
    for (let i = 0; i < BATCH; i++) {
      let result = subject.operate(operations + i);
      if (result instanceof Promise) result = await result;
      if (result) passed++;
    }
    operations += BATCH;
  } while (performance.now() < end);
  return { operations, passed, seconds: (performance.now() - started) / 1000 };
}

/** @param {Subject} subject @param {number} seconds @param {number} inFlight */
async function inFlightLoop(subject, seconds, inFlight) {
  let operations = 0;
  let passed = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < end) {
        if (await subject.operate(operations++)) passed++;
      }
    }),
  );
  return { operations, passed, seconds: (performance.now() - started) / 1000 };
}

/** @param {Subject} subject @param {number} calls @param {number} startAt */
async function race(subject, calls, startAt) {
  await sleep(Math.max(0, startAt - Date.now()));
  const started = performance.now();
  const results = await Promise.all(Array.from({ length: calls }, (_, i) => subject.operate(i)));
  return { operations: calls, passed: results.filter(Boolean).length, seconds: (performance.now() - started) / 1000 };
}

let input = '';
for await (const chunk of process.stdin) input += chunk;
/** @type {Job} */
const job = JSON.parse(input);
/** @type {Subject} */
const subject = await (await import(job.module)).create(job.config ?? {});
const timed = (/** @type {number} */ seconds) =>
  job.mode === 'serial' ? serial(subject, seconds) : inFlightLoop(subject, seconds, job.inFlight ?? 1);
let result;
if (job.mode === 'race') result = await race(subject, job.calls ?? 1, job.startAt ?? 0);
else {
  await timed(job.warmupSeconds ?? 1);
  result = await timed(job.seconds ?? 1);
}
const summary = await subject.summary?.();
await subject.close?.();
process.stdout.write(JSON.stringify({ ...result, perSecond: result.operations / result.seconds, summary }), () =>
  process.exit(0),
);
