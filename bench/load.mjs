// @ts-check
/**
 * The load generator: one process, N keep-alive connections, HTTP/1.1 over bare sockets so that it costs little beside the server.
 * Reads one {@link Load} as JSON from standard input and writes one {@link LoadResult} as JSON to standard output.
 */
import { connect } from 'node:net';
import { cpus } from 'node:os';
import { createHistogram, performance } from 'node:perf_hooks';
import { ResponseReader } from './http.mjs';

/**
 * @typedef {object} Load
 * @property {string} host
 * @property {number} port
 * @property {number} connections
 * @property {'closed' | 'open'} mode `closed`: each connection sends as soon as it is answered (throughput). `open`: requests are due on a fixed schedule whatever the server does (latency, counted from the due time).
 * @property {number} [ratePerSecond] Of the open mode.
 * @property {'queue' | 'drop'} [whenBusy] Open mode, every connection busy: the request waits and its wait counts (default), or it is counted as dropped (floods).
 * @property {number} warmupSeconds
 * @property {number} seconds
 * @property {number} [requests] Closed mode: ends after so many requests instead of `seconds`; the warm-up counts among them.
 * @property {string} workload URL of a module that exports `create(args, { host, connections })` and gives a {@link Workload}.
 * @property {any} [args]
 * @property {boolean} [keep] Give every single latency, too.
 *
 * @typedef {object} Workload
 * @property {() => Buffer | null} next The bytes of the next request; `null` when there is none left.
 * @property {(status: number, head: string, body: Buffer, request: Buffer) => void} [answered] Told of every answer; leave it out where speed matters.
 * @property {() => unknown} [summary] Goes into the result.
 *
 * @typedef {object} LoadResult
 * @property {number} sent Since the start, the warm-up included: `sent = answered + failed + pending`.
 * @property {number} answered
 * @property {number} failed Connection lost, or never made, with the request under way.
 * @property {number} pending Unanswered 10 s after the end.
 * @property {number} dropped Due, and not sent for want of a free connection (`whenBusy: 'drop'`); outside the ledger.
 * @property {Record<string, number>} statuses Of everything answered.
 * @property {number} measured Answers that fell into the measured window.
 * @property {number} seconds Length of the measured window.
 * @property {number} perSecond `measured / seconds`.
 * @property {{ p50: number, p90: number, p99: number, p999: number, max: number, mean: number, count: number }} latencyMs Of the requests sent (open: due) inside the window.
 * @property {number[]} [latencies] The same, one by one, in ms, as they were answered.
 * @property {number} generatorBusy Share of the window in which the generator's own thread worked: near 1 means that it, and not the server, was the limit.
 * @property {number} machineBusy Share of the window in which the machine's cores worked, for whatever process.
 * @property {number} reconnects Connections that the server closed between two requests.
 * @property {unknown} [summary]
 */

const DRAIN_SECONDS = 10;
const TICK_MS = 1;

/** @param {Load} load */
export async function run(load) {
  const { create } = await import(load.workload);
  /** @type {Workload} */
  const workload = await create(load.args ?? {}, { host: `${load.host}:${load.port}`, connections: load.connections });
  const open = load.mode === 'open';
  const limit = load.requests ?? Infinity;
  const histogram = createHistogram({ figures: 3 });
  /** @type {number[] | undefined} */
  const latencies = load.keep ? [] : undefined;

  let sent = 0,
    answered = 0,
    failed = 0,
    dropped = 0,
    measured = 0,
    reconnects = 0;
  /** @type {Map<number, number>} */
  const statuses = new Map();
  let begun = false;
  let stopped = false;
  let windowStart = Infinity;
  let windowEnd = Infinity;
  /** @type {Connection[]} */
  const idle = [];
  /** @type {number[]} */
  let backlog = [];
  let backlogHead = 0;
  /** @type {() => void} */
  let finished = () => {};
  const done = new Promise((resolve) => (finished = () => resolve(undefined)));

  class Connection {
    reader = new ResponseReader(workload.answered !== undefined);
    /** When the request under way was due, or -1. */
    due = -1;
    /** @type {Buffer | undefined} */
    request = undefined;
    /** @type {import('node:net').Socket} */
    socket = this.open();

    open() {
      this.reader.reset();
      const socket = connect({ host: load.host, port: load.port, noDelay: true });
      socket.on('data', (/** @type {any} */ chunk) => this.received(chunk));
      socket.on('error', () => {});
      socket.on('close', () => this.closed());
      return socket;
    }

    /** @param {number} due */
    send(due) {
      const request = workload.next();
      if (request === null || sent >= limit) {
        stopped = true;
        return settle();
      }
      this.due = due;
      this.request = request;
      sent++;
      this.socket.write(request);
    }

    /** @param {Buffer} chunk */
    received(chunk) {
      if (!this.reader.push(chunk)) return;
      const now = performance.now();
      const { status } = this.reader;
      answered++;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (now >= windowStart && now < windowEnd) measured++;
      if (this.due >= windowStart && this.due < windowEnd) {
        histogram.record(Math.max(1, Math.round((now - this.due) * 1000)));
        latencies?.push(now - this.due);
      }
      workload.answered?.(status, this.reader.head, this.reader.body, /** @type {Buffer} */ (this.request));
      this.due = -1;
      const closing = this.reader.closing;
      this.reader.reset();
      if (closing) return void this.socket.end(); // 'close' follows, and opens the next one
      this.free(now);
    }

    /** @param {number} now */
    free(now) {
      if (stopped && (!open || backlogHead === backlog.length)) return settle();
      if (!open) return this.send(now);
      if (backlogHead < backlog.length) {
        this.send(backlog[backlogHead++]);
        if (backlogHead > 10_000) {
          backlog = backlog.slice(backlogHead);
          backlogHead = 0;
        }
      } else idle.push(this);
    }

    closed() {
      if (this.due >= 0) {
        failed++;
        this.due = -1;
      } else reconnects++;
      const place = idle.indexOf(this);
      if (place >= 0) idle.splice(place, 1);
      if (stopped && backlogHead === backlog.length) return settle();
      setTimeout(() => {
        if (stopped && backlogHead === backlog.length) return settle();
        this.socket = this.open();
        if (begun) this.free(performance.now());
      }, 1);
    }
  }

  function settle() {
    if (sent === answered + failed) finished();
  }

  const started = performance.now();
  windowStart = started + load.warmupSeconds * 1000;
  if (load.requests === undefined) windowEnd = windowStart + load.seconds * 1000;
  const pool = Array.from({ length: load.connections }, () => new Connection());
  await Promise.all(
    pool.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))),
  );

  let busyFrom = performance.eventLoopUtilization();
  let coresFrom = coreTimes();
  const warm = setTimeout(() => {
    busyFrom = performance.eventLoopUtilization();
    coresFrom = coreTimes();
  }, load.warmupSeconds * 1000);
  begun = true;
  if (open) idle.push(...pool);
  else for (const connection of pool) connection.send(performance.now());

  if (load.requests === undefined || open) {
    const interval = 1000 / (load.ratePerSecond ?? 1);
    let nextDue = performance.now();
    await new Promise((resolve) => {
      const tick = () => {
        const now = performance.now();
        if (now >= windowEnd) return resolve(undefined);
        if (open) {
          for (; nextDue <= now; nextDue += interval) {
            const connection = idle.shift(); // the longest idle, so that none idles into the server's keep-alive timeout
            if (connection) connection.send(nextDue);
            else if (load.whenBusy === 'drop') dropped++;
            else backlog.push(nextDue);
          }
        }
        setTimeout(tick, open ? TICK_MS : Math.min(50, Math.max(1, windowEnd - now)));
      };
      tick();
    });
    stopped = true;
    if (sent === answered + failed && backlogHead === backlog.length) finished();
  }
  const busy = performance.eventLoopUtilization(busyFrom).utilization;
  const coresUntil = coreTimes();
  let drain;
  const impatient =
    load.requests === undefined
      ? new Promise((resolve) => (drain = setTimeout(resolve, DRAIN_SECONDS * 1000)))
      : new Promise(() => {});
  await Promise.race([done, impatient]);
  clearTimeout(drain);
  clearTimeout(warm);
  const seconds = (Math.min(windowEnd, performance.now()) - windowStart) / 1000;
  const unsent = backlog.length - backlogHead;
  for (const { socket } of pool)
    socket
      .removeAllListeners()
      .on('error', () => {})
      .destroy();

  const ms = (/** @type {number} */ p) => histogram.percentile(p) / 1000;
  /** @type {LoadResult} */
  return {
    sent: sent + unsent,
    answered,
    failed,
    pending: sent - answered - failed + unsent,
    dropped,
    statuses: Object.fromEntries(statuses),
    measured,
    seconds,
    perSecond: measured / seconds,
    latencyMs: {
      p50: ms(50),
      p90: ms(90),
      p99: ms(99),
      p999: ms(99.9),
      max: histogram.max / 1000,
      mean: histogram.mean / 1000,
      count: histogram.count,
    },
    latencies,
    generatorBusy: busy,
    machineBusy: (coresUntil.busy - coresFrom.busy) / (coresUntil.all - coresFrom.all),
    reconnects,
    summary: workload.summary?.(),
  };
}

/** What all cores have spent so far, in ms. */
function coreTimes() {
  const times = cpus().map((core) => core.times);
  const idle = times.reduce((sum, { idle }) => sum + idle, 0);
  const busy = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0);
  return { busy, all: busy + idle };
}

let input = '';
for await (const chunk of process.stdin) input += chunk;
const result = await run(JSON.parse(input));
process.stdout.write(JSON.stringify(result), () => process.exit(0)); // a connection that was being made again must not hold it open
