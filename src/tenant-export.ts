import 'reflect-metadata';
import { recordProgram } from './platform/audit';
import { cipherOf } from './platform/secrets';
import { exportTenant, tenantNamed } from './platform/tenant-data';
import { needed, optionsOf, runProgram, say } from './program';

const usage = 'Usage: npm run tenant:export -- (--practice | --workspace) <id> --out file.ndjson [--by <who>]';

/** All of one tenant's data in a file, for the tenant. */
runProgram(process.env, async (config, interrupted) => {
  const values = optionsOf(usage, ['practice', 'workspace', 'out', 'by']);
  const { out } = values;
  const tenant = tenantNamed(values);
  if (tenant === undefined || out === undefined) throw new Error(usage);
  const cipher = await cipherOf(config);
  await recordProgram(config, tenant, 'tenant.export', values.by);
  const url = needed(config, 'DATABASE_URL');
  const systemUrl = needed(config, 'DATABASE_SYSTEM_URL');
  const counts = await exportTenant({ url, systemUrl, tenant, file: out, cipher, interrupted });
  for (const [table, count] of counts) say(`${table}: ${count}`);
  return 0;
});
