import { Controller, Get, Param } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import type { Response } from 'express';
import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { connect, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { until } from '../../../test/support/until';
import { Metrics } from '../../platform/telemetry';
import { Public } from '../auth/access.decorators';
import { ContextMiddleware } from '../context/context.middleware';
import { type SmallGate, startSmallGate } from '../firewall/small-gate.spec-support';
import type { GateRequest } from '../request-state';
import { Responds } from '../responses/responds.decorator';
import { AdmissionMiddleware } from './admission.middleware';
import { Reserved } from './concurrency.decorator';
import { CriticalWork } from './critical-work';

class NameView {
  @ApiProperty({ type: String })
  readonly name!: string;
}

/** Names of the requests whose handlers ran, in that order. */
let ran: string[] = [];

/** Keeps the event loop busy, as a request that computes does. */
function work(name: string, milliseconds: number): { name: string } {
  ran.push(name);
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
  return { name };
}

/** Of the requests that wait until the test lets them go on. */
const held = { others: 0, goOn: (): void => undefined, until: Promise.resolve() };

/** When each of those that are held began. */
let heldAt: number[] = [];

@Controller()
@Public('this test has no issuer')
class WorkController {
  @Get('standard/:name')
  @Responds(200, NameView)
  standard(@Param('name') name: string) {
    return work(name, 20);
  }

  @Get('bulk/:name')
  @Reserved('bulk')
  @Responds(200, NameView)
  bulk(@Param('name') name: string) {
    return work(name, 20);
  }

  @Get('held/:name')
  @Responds(200, NameView)
  async held(@Param('name') name: string) {
    held.others += 1;
    heldAt.push(performance.now());
    await held.until;
    return work(name, 0);
  }

  @Get('critical/:name')
  @Reserved('critical')
  @Responds(200, NameView)
  critical(@Param('name') name: string) {
    return work(name, 0);
  }
}

describe('AdmissionMiddleware', () => {
  let gate: SmallGate;

  beforeAll(async () => {
    gate = await startSmallGate([WorkController]);
  });
  beforeEach(() => {
    ran = [];
    heldAt = [];
    held.others = 0;
  });
  afterAll(() => gate.close());

  it('lets a critical request past the others that wait', async () => {
    const answers = await burst(gate.port, [...named('standard', 60), 'critical/urgent']);
    expect(answers.at(-1)?.status).toBe(200);
    const behind = ran.length - 1 - ran.indexOf('urgent');
    const refused = answers.filter(({ status }) => status === 503).length;
    expect(behind + refused).toBeGreaterThanOrEqual(20); // what was beyond the first turn's share
  });

  it('turns away, with its ids, what waited too long, and never runs it', async () => {
    const answers = await burst(gate.port, named('standard', 100));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(0);
    expect(ran).toHaveLength(answers.length - refused.length);
    for (const { head, body } of refused) {
      expect(head).toMatch(/^retry-after: 1\r$/im);
      const id = /^x-correlation-id: (\S+)\r$/im.exec(head)?.[1];
      expect(id).toBeDefined();
      expect(JSON.parse(body)).toMatchObject({ code: 'overloaded', correlationId: id });
    }
  });

  it('lets bulk in only when no standard request waits', async () => {
    await burst(gate.port, [...named('standard', 40), ...named('bulk', 20)]);
    const firstBulk = ran.findIndex((name) => name.startsWith('bulk'));
    expect(ran.slice(firstBulk === -1 ? ran.length : firstBulk).some((name) => name.startsWith('standard'))).toBe(
      false,
    );
  });

  /** How many more than 8, and one each 20 ms, began within any time of the first. */
  const tooMany = () => Math.max(...heldAt.map((at, n) => n + 1 - 8 - Math.floor((at - (heldAt[0] ?? at)) / 20)));

  it('lets 8 of the others into work beside critical work, and one more each 20 ms', async () => {
    held.until = new Promise((resolve) => (held.goOn = resolve));
    gate.app.get(CriticalWork).begin();
    const others = burst(gate.port, named('held', 120));
    try {
      await until(async () => held.others > 8 && (await waiting(gate)) === 0); // the last of them have waited too long
    } finally {
      gate.app.get(CriticalWork).end();
      held.goOn();
    }
    expect(tooMany()).toBeLessThanOrEqual(1); // a handler begins some time after its request was let in
    const statuses = (await others).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(held.others);
    expect(statuses.filter((status) => status === 503)).toHaveLength(120 - held.others);
  });

  it('lets no more of them in for a while after it, and then all', async () => {
    held.until = new Promise((resolve) => (held.goOn = resolve));
    const sockets = await Promise.all(named('held', 60).map(() => connected(gate.port)));
    gate.app.get(CriticalWork).begin();
    gate.app.get(CriticalWork).end();
    const endedAt = performance.now();
    const others = sendAll(sockets, named('held', 60));
    try {
      await until(() => held.others === 60);
    } finally {
      held.goOn();
    }
    expect(heldAt.filter((at) => at < endedAt + 100).length).toBeLessThanOrEqual(8 + 5 + 1);
    expect((await others).filter(({ status }) => status !== 200)).toEqual([]);
  });

  it('gives the places of requests back that stood behind another one of a connection that is gone', async () => {
    held.until = new Promise((resolve) => (held.goOn = resolve));
    const socket = connect(gate.port, '127.0.0.1').on('error', () => undefined);
    socket.write(['held/first', ...named('standard', 9)].map(pipelined).join(''));
    await until(() => ran.length === 9 && held.others === 1);
    expect(await sumOf(gate, 'admission_in_work')).toBe(10);
    socket.resetAndDestroy();
    held.goOn();
    await until(async () => (await sumOf(gate, 'admission_in_work')) === 0);
  });

  it('forgets a request whose client has left', async () => {
    const sockets = await Promise.all(named('standard', 60).map(() => connected(gate.port)));
    ran = [];
    sockets.forEach((socket, n) => socket.write(requestOf(`standard/leaver${n}`)));
    await until(() => ran.length > 0);
    for (const socket of sockets) socket.destroy();
    expect((await burst(gate.port, ['critical/last'])).map(({ status }) => status)).toEqual([200]);
    await until(async () => (await waiting(gate)) === 0);
    // Those of the first turn, and of the one in which the loop saw that all had gone.
    expect(ran.filter((name) => name.startsWith('leaver')).length).toBeLessThan(60);
  });

  it('holds 4,096 that wait, and turns the next one away at once, with its ids', () => {
    const [context, admission] = [gate.app.get(ContextMiddleware), gate.app.get(AdmissionMiddleware)];
    const socket = new Socket();
    let admitted = 0;
    /** A request that arrives within this turn of the event loop; its answer. */
    const arrive = (): ServerResponse => {
      const target = { method: 'GET', url: '/standard/one', originalUrl: '/standard/one' };
      const request = Object.assign(new IncomingMessage(socket), target) as GateRequest;
      const response = new ServerResponse(request) as unknown as Response;
      context.use(request, response, () => admission.use(request, response, () => (admitted += 1)));
      return response;
    };
    try {
      const atOnce = Array.from({ length: 5_000 }, arrive);
      const refused = atOnce.filter(({ writableEnded }) => writableEnded);
      expect(admitted).toBeGreaterThan(0);
      expect(atOnce.length - admitted - refused.length).toBe(4_096);
      // Who came last, not who waits already.
      expect(atOnce.slice(-refused.length)).toEqual(refused);
      for (const answer of refused) {
        expect([answer.statusCode, answer.getHeader('retry-after')]).toEqual([503, '1']);
        expect(answer.getHeader('x-correlation-id')).toBeDefined();
      }
    } finally {
      socket.destroy(); // all of them have left
    }
  });

  it('holds nobody up once the flood is over', async () => {
    for (let n = 0; n < 20; n += 1) {
      const answers = await burst(gate.port, named('critical', 5));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    }
    const answers = await burst(gate.port, named('standard', 2));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });
});

const named = (path: string, count: number) => Array.from({ length: count }, (_, n) => `${path}/${path}${n}`);

const pipelined = (path: string) => `GET /${path} HTTP/1.1\r\nhost: gate\r\n\r\n`;

const requestOf = (path: string) => `GET /${path} HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n`;

/** A connection that the server has accepted, too: it accepts one in a turn. */
async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /critical/hello HTTP/1.1\r\nhost: gate\r\n\r\n');
  await once(socket, 'data');
  return socket;
}

/** Sends all of these in one turn of the event loop, each on a connection of its own that is open already. */
async function burst(port: number, paths: string[]): Promise<Answer[]> {
  return sendAll(await Promise.all(paths.map(() => connected(port))), paths);
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

async function sendAll(sockets: readonly Socket[], paths: readonly string[]): Promise<Answer[]> {
  ran = ran.filter((name) => name !== 'hello');
  const answers = sockets.map(async (socket) => {
    const text = Buffer.concat((await socket.toArray()) as Buffer[]).toString();
    const [head = '', body = ''] = text.split('\r\n\r\n', 2);
    return { status: Number(head.split(' ', 2)[1]), head: `${head}\r\n`, body };
  });
  sockets.forEach((socket, n) => socket.write(requestOf(paths[n] ?? '')));
  return Promise.all(answers);
}

const waiting = (gate: SmallGate) => sumOf(gate, 'admission_waiting');

async function sumOf({ app }: SmallGate, gauge: string): Promise<number> {
  const metric = await app.get(Metrics).registry.getSingleMetric(gauge)?.get();
  return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0);
}
