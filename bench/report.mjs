// @ts-check
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { cores, root } from './places.mjs';

/** @typedef {import('./measure.mjs').Sample} Sample */

/**
 * One line of a bench's table.
 * @typedef {object} Row
 * @property {string} what
 * @property {string} unit
 * @property {Sample | null} ours `null`: not measured.
 * @property {string} peer What stands beside it, or `''` where the goal is a limit.
 * @property {Sample | null} theirs
 * @property {number | null} ratio ours ÷ theirs.
 * @property {string} goal As MEASURE.md words it.
 * @property {boolean | null} met `null`: cannot be said.
 * @property {string} [note]
 */

/** @typedef {{ rows: Row[], notes: string[], detail?: unknown }} Report */

/** @param {number} value */
export function figure(value) {
  if (Number.isInteger(value)) return value.toLocaleString('en-GB');
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-GB');
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** @param {Sample | null} sample */
function shown(sample) {
  if (sample === null) return '–';
  return sample.values.length > 1
    ? `${figure(sample.median)} (${figure(sample.min)}–${figure(sample.max)})`
    : figure(sample.median);
}

/** @param {Row[]} rows */
export function table(rows) {
  const lines = [
    ['', 'ours', 'peer', '', 'ratio', 'goal', ''],
    ...rows.map(({ what, unit, ours, peer, theirs, ratio, goal, met, note }) => [
      `${what}, ${unit}`,
      shown(ours),
      peer,
      peer === '' ? '' : shown(theirs),
      ratio === null ? '–' : `${figure(ratio)} ×`,
      goal,
      (met === null ? 'not judged' : met ? 'met' : 'MISSED') + (note ? `: ${note}` : ''),
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd())
    .join('\n');
}

/**
 * @param {string} name @param {Report} report @param {import('./measure.mjs').Options} options
 * @returns {string} the file, from the root
 */
export function writeResult(name, report, options) {
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const machine = {
    node: process.version,
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    pinned: cores ?? null,
  };
  const result = { bench: name, at: new Date().toISOString(), commit: commit(), machine, options, ...report };
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(result, null, 2)}\n`);
  return `bench/results/${name}.json`;
}

function commit() {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
