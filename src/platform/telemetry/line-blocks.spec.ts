import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../../test/support/until';
import { LineBlocks } from './line-blocks';

const built = join(process.cwd(), 'dist', 'platform', 'telemetry', 'line-blocks.js');

describe('LineBlocks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-lines-'));
  const file = join(folder, 'log');
  const written = () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  afterAll(() => rmSync(folder, { recursive: true }));

  it('writes blocks at once, the rest in a moment, all in order', async () => {
    const blocks = new LineBlocks(file);
    const lines = Array.from({ length: 10_000 }, (_, n) => `{"line":${n},"name":"Zoë"}\n`);
    for (const line of lines) blocks.write(line);
    await until(() => written().length > 4_096);
    await until(() => written().length >= lines.join('').length);
    expect(written()).toBe(lines.join(''));
    blocks.write('the last\n');
    expect(written()).toBe(lines.join(''));
    blocks.flushSync();
    expect(written()).toBe(`${lines.join('')}the last\n`);
  });

  it.each([
    ['exits', 'process.exit(3)', 3],
    ['has nothing more to do', '', 0],
    ['has nothing more to do, and logs that', `process.once('beforeExit', () => blocks.write('the last\\n'))`, 0],
    ['fails', `setImmediate(() => { throw new Error('of the test') })`, 1],
  ])('loses no line when the process %s', (_, then, code) => {
    const script = `const { LineBlocks } = require(${JSON.stringify(built)});
      const blocks = new LineBlocks(); blocks.write('the first\\n'); ${then}`;
    const { status, stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({
      status: code,
      stdout: `the first\n${then.includes('the last') ? 'the last\n' : ''}`,
    });
  });
});
