// @ts-check
/** Rounds, medians and the ledger: how a figure comes about. */
import { runScript } from './servers.mjs';

/** @typedef {{ rounds: number, seconds: number, warmupSeconds: number, connections: number, peersOnly: boolean, million: boolean }} Options */
/** @typedef {{ median: number, min: number, max: number, values: number[] }} Sample */

/** A measurement that must not be believed. */
export class Void extends Error {}

/** @param {number[]} values @returns {Sample} */
export function sample(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1], values };
}

/**
 * The median of the rounds' own ratios, so that a machine that drifts between rounds drifts out of the result.
 * @param {Sample} ours @param {Sample} theirs
 */
export function ratio(ours, theirs) {
  return sample(ours.values.map((value, round) => value / theirs.values[round])).median;
}

/**
 * The ratio of the p99 of all that the rounds of one subject measured to that of the other's, and between which two it lies with
 * 95 % of what might have come instead (rounds drawn anew, in pairs). A p99 of one round is made by its one stall.
 * @param {number[][]} ours by round @param {number[][]} theirs
 */
export function ratioOfP99(ours, theirs) {
  const p99 = (/** @type {number[]} */ values) => values.sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1];
  const pooled = (/** @type {number[][]} */ runs, /** @type {number[]} */ rounds) =>
    p99(rounds.flatMap((r) => runs[r]));
  const each = ours.map((_, round) => round);
  const drawn = Array.from({ length: 1000 }, () => {
    const rounds = each.map(() => Math.floor(Math.random() * each.length));
    return pooled(ours, rounds) / pooled(theirs, rounds);
  }).sort((a, b) => a - b);
  const [mine, other] = [pooled(ours, each), pooled(theirs, each)];
  return { ours: mine, theirs: other, ratio: mine / other, from: drawn[25], to: drawn[974] };
}

/**
 * A B C A B C …: one measurement of every subject a round.
 * @template {{ name: string }} Subject @template Result
 * @param {number} rounds @param {Subject[]} subjects @param {(subject: Subject, round: number) => Promise<Result>} measure
 * @returns {Promise<Map<string, Result[]>>} by the subject's name
 */
export async function inTurn(rounds, subjects, measure) {
  /** @type {Map<string, Result[]>} */
  const results = new Map(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      const result = await measure(subject, round).catch((/** @type {unknown} */ error) => {
        throw error instanceof Void ? new Void(`${subject.name}: ${error.message}`) : error;
      });
      results.get(subject.name)?.push(result);
    }
  }
  return results;
}

/**
 * One run of the load generator. Void unless `sent = answered + failed + pending`, and, with `expect`, unless every answer is one of those and none is missing.
 * @param {Omit<import('./load.mjs').Load, 'workload'> & { workload: string, place?: import('./places.mjs').Place }} load `workload`: a file of `workloads/`; `place`: whose core the generator shares where it has none of its own.
 * @param {{ expect?: number[] }} [options]
 * @returns {Promise<import('./load.mjs').LoadResult>}
 */
export async function load({ place = 'load', ...load }, { expect } = {}) {
  const rank = load.mode === 'closed' ? undefined : load.whenBusy === 'drop' ? 'last' : 'first';
  /** @type {import('./load.mjs').LoadResult} */
  const result = await runScript(
    'load.mjs',
    { ...load, workload: new URL(`workloads/${load.workload}`, import.meta.url).href },
    { rank, place },
  );
  const { sent, answered, failed, pending, statuses } = result;
  const counted = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  if (sent !== answered + failed + pending || counted !== answered) {
    throw new Void(`the ledger does not add up: ${JSON.stringify({ sent, answered, failed, pending, statuses })}`);
  }
  if (expect !== undefined) {
    const unexpected = Object.keys(statuses).filter((status) => !expect.includes(Number(status)));
    if (unexpected.length > 0 || failed > 0 || pending > 0 || answered === 0) {
      throw new Void(
        `not every request got ${expect.join(' or ')}: ${JSON.stringify({ sent, failed, pending, statuses })}`,
      );
    }
  }
  return result;
}

/** Past this share the generator, not the server, may be the limit. */
export const GENERATOR_LIMIT = 0.9;
