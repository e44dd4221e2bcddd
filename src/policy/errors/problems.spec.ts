import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Response } from 'express';
import type { GateRequest } from '../request-state';
import { PolicyRefusal } from './policy-refusal';
import { problemOf } from './problem';
import type { RouteTable } from '../route-table';
import { Problems } from './problems';
import { RefusalRecord } from './refusal-record';

/** Where an entry becomes durable when the test says so. */
class Held extends RefusalRecord {
  release: () => void = () => undefined;
  private readonly released = new Promise<void>((resolve) => (this.release = resolve));

  refused(): Promise<void> {
    return this.released;
  }
}

describe('Problems', () => {
  const refusal = problemOf(new PolicyRefusal(403, 'insufficient_role', 'Forbidden', 'no'));
  const sent = (record: RefusalRecord) => {
    const request = Object.assign(new IncomingMessage(new Socket()), { originalUrl: '/x', gate: {} });
    const response = new ServerResponse(request);
    const nowhere = { routeOf: () => undefined } as unknown as RouteTable;
    new Problems(record, nowhere).send(request as unknown as GateRequest, response as unknown as Response, refusal);
    return response;
  };

  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('sends a refusal once its entry is durable', async () => {
    const record = new Held();
    const response = sent(record);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(response.writableEnded).toBe(false);
    record.release();
    await jest.advanceTimersByTimeAsync(0);
    expect([response.writableEnded, response.statusCode]).toEqual([true, 403]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('sends it without its entry rather than never', async () => {
    const response = sent(new Held());
    await jest.advanceTimersByTimeAsync(5_000);
    expect([response.writableEnded, response.statusCode]).toEqual([true, 403]);
  });
});
