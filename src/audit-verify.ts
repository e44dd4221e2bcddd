import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { prepareGround } from './ground';
import { anchorFileOf, verifyAudit } from './platform/audit/verification';
import { Config } from './platform/config';

const say = (line: string) => process.stderr.write(`gatehouse: ${line}\n`);
const print = (line: string) => process.stdout.write(`${line}\n`);

/**
 * `npm run audit:verify [-- --practice practice_p001] [--without-anchors] [--index]`: whether the audit log is as it was
 * written; with `--index`, whether searches find what it says, too. Exits 1
 * and names the first entry of each chain that is not; exits 1 for a practice of which there are neither entries nor anchors,
 * and where there are no anchors to compare with, unless told that there are none.
 */
async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const { values } = parseArgs({
    options: { practice: { type: 'string' }, 'without-anchors': { type: 'boolean' }, index: { type: 'boolean' } },
  });
  const given = Config.from(process.env);
  // Verifying never migrates a database that is not embedded.
  const ground = given.get('DATABASE_URL') === undefined ? await prepareGround(given, say) : undefined;
  const config = ground?.config ?? given;
  try {
    const systemUrl = config.get('DATABASE_SYSTEM_URL');
    if (systemUrl === undefined) throw new Error('DATABASE_SYSTEM_URL is unset');
    const file = anchorFileOf(config);
    const { chains, entries, seconds, faults, anchors, unreadable } = await verifyAudit(systemUrl, file, {
      only: values.practice,
      // The first one may have been missed for a restart.
      anchoredWithinMs: 3 * config.get('AUDIT_ANCHOR_SECONDS') * 1_000,
      index: values.index === true,
    });
    if (values.practice !== undefined && entries + (anchors ?? 0) + faults.length === 0) {
      throw new Error(`there is no such chain: ${values.practice}`);
    }
    const perSecond = Math.round(entries / seconds);
    print(`${chains} chains, ${entries} entries in ${seconds.toFixed(2)} s (${perSecond} entries/s)`);
    if (anchors === undefined) print(`no anchors at ${file}: a tail that was cut off would not be seen`);
    else print(`${anchors} anchors of ${file}`);
    if (unreadable.length > 0) print(`lines of it that are no anchors: ${unreadable.join(', ')}`);
    for (const { practice, seq, id, what } of faults) {
      print(`BROKEN  ${practice}, entry ${seq}${id === undefined ? '' : ` (${id})`}: ${what}`);
    }
    const isCompared = anchors !== undefined || values['without-anchors'] === true;
    if (faults.length > 0 || !isCompared) process.exitCode = 1;
    else print('every chain is whole');
  } finally {
    await ground?.stop();
  }
}

main().catch((error: unknown) => {
  say(`cannot verify: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
