import { allDone, book, counted, seedPractices, states } from './outbox/happenings';
import { Outside } from './outbox/outside';
import type { GateProcess } from './support/process';
import { until } from './support/until';
import { World } from './support/world';

describe('an event of a booking', () => {
  let world: World;
  let outside: Outside;

  beforeAll(async () => {
    [world, outside] = await Promise.all([World.create(), Outside.start()]);
    await seedPractices(world);
  });
  afterAll(async () => {
    await world.end();
    await outside.end();
  });

  const startWorker = (): Promise<GateProcess> =>
    world.start({ GATEHOUSE_ROLE: 'worker', WORKER_CONCURRENCY: '4', ...outside.environment });
  const delivered = (events: readonly string[]) => async () =>
    JSON.stringify(await states(world, events)) === JSON.stringify(allDone(events.length));
  const deliver = (events: readonly string[], timeoutMs = 20_000): Promise<void> => until(delivered(events), timeoutMs);

  it('reaches the SMS provider, the CRM and the daily counter once each', async () => {
    const worker = await startWorker();
    const events = await book(world, 3);
    await deliver(events);
    const { sms, crm, seen } = await outside.sent();
    expect(sms.map(({ key }) => key).sort()).toEqual(events);
    expect(sms[0]).toMatchObject({ to: '+15550100', body: expect.stringMatching(/^Practice practice_t001: your appointment is booked/) });
    expect(crm).toHaveLength(3);
    expect(crm[0]?.properties).toMatchObject({ hs_meeting_title: 'comprehensive_exam', hs_meeting_outcome: 'SCHEDULED' });
    expect(seen).toEqual({ sms: 3, crm: 3 });
    expect(await counted(world)).toBe(3);
    await worker.end();
  });
});
