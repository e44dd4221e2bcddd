import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { recordProgram } from './platform/audit';
import { cipherOf } from './platform/secrets';
import { exportTenant } from './platform/tenant-data';
import { needed, runProgram, say } from './program';

const usage = 'npm run tenant:export -- --practice practice_p001 --out file.ndjson';

/** All of one practice's data in a file, for the practice. */
runProgram(process.env, async (config, interrupted) => {
  const { values } = parseArgs({ options: { practice: { type: 'string' }, out: { type: 'string' } } });
  const { practice, out } = values;
  if (practice === undefined || out === undefined) throw new Error(usage);
  const cipher = await cipherOf(config);
  await recordProgram(config, practice, 'tenant.export');
  const url = needed(config, 'DATABASE_URL');
  const counts = await exportTenant({ url, practiceId: practice, file: out, cipher, interrupted });
  for (const [table, count] of counts) say(`${table}: ${count}`);
  return 0;
});
