import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { recordProgram } from './platform/audit';
import { eraseTenant, survives } from './platform/tenant-data';
import { needed, runProgram, say } from './program';

const usage = 'npm run tenant:erase -- --practice practice_p001 --confirm practice_p001';

/** Deletes all of one practice's data, for good. */
runProgram(process.env, async (config) => {
  const { values } = parseArgs({ options: { practice: { type: 'string' }, confirm: { type: 'string' } } });
  const { practice, confirm } = values;
  if (practice === undefined || confirm !== practice) throw new Error(`Erasing cannot be undone: ${usage}`);
  const ownerUrl = needed(config, 'DATABASE_ADMIN_URL');
  await recordProgram(config, practice, 'tenant.erase');
  const counts = await eraseTenant(ownerUrl, practice);
  for (const [table, count] of counts) say(`${table}: ${count} deleted`);
  say(`kept: ${survives.join(', ')}`);
  return 0;
});
