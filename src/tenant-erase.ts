import 'reflect-metadata';
import { recordProgram } from './platform/audit';
import { ErasureUnknown, eraseTenant, forgetErased, survives, tenantNamed } from './platform/tenant-data';
import { needed, optionsOf, runProgram, say } from './program';

const usage = 'Usage: npm run tenant:erase -- (--practice | --workspace) <id> --confirm <id> [--by <who>]';

/** Deletes all of one tenant's data, for good. */
runProgram(process.env, async (config) => {
  const values = optionsOf(usage, ['practice', 'workspace', 'confirm', 'by']);
  const tenant = tenantNamed(values);
  if (tenant === undefined || values.confirm === undefined) throw new Error(`Erasing cannot be undone. ${usage}`);
  if (values.confirm !== tenant.id)
    throw new Error(`Nothing was erased: --confirm says ${values.confirm}, and the ${tenant.kind} is ${tenant.id}`);
  const ownerUrl = needed(config, 'DATABASE_ADMIN_URL');
  await recordProgram(config, tenant, 'tenant.erase', values.by);
  const ended = (outcome: 'allowed' | 'failed', code: string, detail = {}) =>
    recordProgram(config, tenant, 'tenant.erase', values.by, { outcome, code, detail });
  const counts = await eraseTenant(ownerUrl, tenant).catch(async (error: unknown) => {
    await ended('failed', error instanceof ErasureUnknown ? 'unknown' : 'not_erased').catch((lost: unknown) =>
      say(`how it ended stands in no entry of the audit log: ${String(lost)}`),
    );
    throw error;
  });
  for (const [table, count] of counts) say(`${table}: ${count} deleted`);
  say(`kept: ${survives.join(', ')}`);
  await ended('allowed', 'erased', { rows: [...counts.values()].reduce((sum, count) => sum + count, 0) });
  await forgetErased(ownerUrl, counts.keys());
  return 0;
});
