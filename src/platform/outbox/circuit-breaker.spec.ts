import { CircuitBreaker, type Permit } from './circuit-breaker';

async function admitted(breaker: CircuitBreaker): Promise<Permit> {
  const permit = await breaker.admit();
  if (!permit) throw new Error('the breaker has ended');
  return permit;
}

async function failed(breaker: CircuitBreaker, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) (await admitted(breaker)).failed();
}

describe('a circuit breaker', () => {
  const changes: boolean[] = [];
  let breaker: CircuitBreaker;

  beforeEach(() => {
    changes.length = 0;
    breaker = new CircuitBreaker((isOpen) => changes.push(isOpen));
  });
  afterEach(() => breaker.end());

  it('lets everyone through until five in a row fail', async () => {
    await failed(breaker, 4);
    (await admitted(breaker)).succeeded();
    await failed(breaker, 4);
    expect(changes).toEqual([]);
    await failed(breaker, 1);
    expect(changes).toEqual([true]);
  });

  it('lets one alone try after a pause, and everyone once that one succeeded', async () => {
    await failed(breaker, 5);
    const order: string[] = [];
    const waiters = ['a', 'b', 'c'].map(async (name) => {
      const permit = await admitted(breaker);
      order.push(name);
      return permit;
    });
    const probe = await waiters[0];
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(['a']);
    probe?.succeeded();
    await Promise.all(waiters);
    expect(order).toEqual(['a', 'b', 'c']);
    expect(changes).toEqual([true, false]);
  });

  it('lets the next one try when the first made no attempt', async () => {
    await failed(breaker, 5);
    const [first, second] = [admitted(breaker), admitted(breaker)];
    (await first).unused();
    (await second).succeeded();
    expect(changes).toEqual([true, false]);
  });

  it('waits on when the one that tried failed, and counts only its first word', async () => {
    await failed(breaker, 5);
    const probe = await admitted(breaker);
    probe.failed();
    probe.succeeded();
    expect(changes).toEqual([true, true]);
    (await admitted(breaker)).succeeded();
    expect(changes).toEqual([true, true, false]);
  });

  it('sends away who waits when it ends', async () => {
    await failed(breaker, 5);
    const waiting = breaker.admit();
    breaker.end();
    expect(await waiting).toBeUndefined();
    expect(await breaker.admit()).toBeUndefined();
  });
});
