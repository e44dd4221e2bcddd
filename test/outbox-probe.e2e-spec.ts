import { book, seedPractices } from './outbox/happenings';
import { Outside } from './outbox/outside';
import { until } from './support/until';
import { World } from './support/world';
it('probe', async () => {
  const [world, outside] = await Promise.all([World.create(), Outside.start()]);
  await seedPractices(world);
  await book(world, 2000);
  const t0 = Date.now();
  await world.start({ GATEHOUSE_ROLE: 'worker', ...outside.environment });
  const seen: string[] = [];
  let lastAt = 0;
  await until(async () => {
    if (Date.now() - lastAt < 500) return false;
    lastAt = Date.now();
    const [r] = await world.sql<{ s: string; n: number }>(`SELECT string_agg(consumer||' '||c, ',') s, coalesce(sum(c),0)::int n FROM (SELECT consumer, count(*) c FROM event_deliveries WHERE state='done' GROUP BY 1) x`);
    seen.push(`${Date.now() - t0}: ${r?.s}`);
    return r?.n === 6000;
  }, 60_000);
  console.log(seen.join('\n'));
  await world.end(); await outside.end();
}, 90_000);
