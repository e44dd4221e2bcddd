// @ts-check
/** `node bench/run.mjs [name …] [--rounds 5] [--seconds 5] [--warmup 2] [--connections 64] [--quick] [--peers] [--no-million]` */
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { pinning } from './places.mjs';
import { table, writeResult } from './report.mjs';
import { stopAll } from './servers.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    warmup: { type: 'string' },
    connections: { type: 'string', default: '64' },
    quick: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    'no-million': { type: 'boolean', default: false },
  },
});
const known = readdirSync(new URL('benches/', import.meta.url))
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -'.mjs'.length));
const unknown = positionals.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no bench named ${unknown.join(', ')}; there are: ${known.join(', ')}`);
  process.exit(2);
}
if (!existsSync(new URL('node_modules/', import.meta.url))) {
  console.error('the peers are not installed: run `npm ci` in bench/ first');
  process.exit(2);
}

/** @type {import('./measure.mjs').Options} */
const options = {
  rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
  seconds: Number(values.seconds ?? (values.quick ? 1 : 5)),
  warmupSeconds: Number(values.warmup ?? (values.quick ? 1 : 2)),
  connections: Number(values.connections),
  peersOnly: values.peers,
  million: !values['no-million'] && !values.quick && !values.peers,
};
console.log(
  `Node ${process.version}, ${pinning}; ${options.rounds} rounds of ${options.seconds} s in turn, after ${options.warmupSeconds} s of warm-up each; figures are median (min–max)`,
);
if (values.quick) console.log('--quick proves that the harness runs; its figures are not to be cited');

for (const name of positionals.length > 0 ? positionals : known) {
  console.log(`\n${name}`);
  try {
    /** @type {{ default: (options: import('./measure.mjs').Options) => Promise<import('./report.mjs').Report> }} */
    const { default: bench } = await import(`./benches/${name}.mjs`);
    const report = await bench(options);
    console.log(table(report.rows));
    for (const note of report.notes) console.log(`  ${note}`);
    console.log(`  → ${writeResult(name, report, options)}`);
    const inPart = report.rows.some(({ ours, peer, theirs }) => ours === null || (peer !== '' && theirs === null));
    if (inPart) process.exitCode = 1;
  } catch (error) {
    process.exitCode = 1;
    console.error(`  could not measure: ${error instanceof Error ? error.message : error}`);
    if (process.env.BENCH_LOGS && error instanceof Error) console.error(error.stack);
  } finally {
    await stopAll();
  }
}
