import { Writable } from 'node:stream';
import { World } from '../../../test/support/world';
import { Config } from '../config';
import { Log } from './log';

describe('Log', () => {
  it('tells of a refused row without its values', async () => {
    const world = await World.create();
    const lines: string[] = [];
    const destination = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString());
        done();
      },
    });
    const log = new Log(Config.from({ NODE_ENV: 'test' }), destination);
    await world.sql(`INSERT INTO practices (id, name, time_zone) VALUES ('practice_a', 'A', 'UTC')`);
    // As the superuser: to a role under row-level security, Postgres itself does not repeat the row.
    const refused: unknown = await world
      .sql(
        `INSERT INTO patients (practice_id, id, first_name, last_name, date_of_birth, phone) VALUES ('practice_a', 'pat_1', 'Ada', NULL, '1985-12-10', '+1555')`,
      )
      .catch((error: unknown) => error);
    expect((refused as { detail: string }).detail).toContain('Ada'); // what the driver would have us write
    log.error({ err: new Error('A request failed', { cause: refused }) }, 'A request failed');
    expect(lines.join('')).toMatch(/23502.*last_name|last_name.*23502/s);
    expect(lines.join('')).not.toMatch(/Ada|1985-12-10|\+1555/);
    await world.end();
  });
});
