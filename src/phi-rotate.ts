import 'reflect-metadata';
import { recordProgram } from './platform/audit';
import { cipherOf } from './platform/secrets';
import { rotateKeys } from './platform/tenant-data';
import { needed, optionsOf, runProgram, say } from './program';

const usage = 'Usage: npm run phi:rotate -- [--by <who>]';

/** `npm run phi:rotate`: brings every encrypted value under the first key of PHI_KEYS, while the application serves. */
runProgram(process.env, async (config) => {
  const { by } = optionsOf(usage, ['by']);
  const cipher = await cipherOf(config);
  await recordProgram(config, undefined, 'phi.rotate', by);
  const { reencrypted, left, undecryptable } = await rotateKeys({
    url: needed(config, 'DATABASE_URL'),
    systemUrl: needed(config, 'DATABASE_SYSTEM_URL'),
    cipher,
    say,
  });
  for (const complaint of undecryptable) say(complaint);
  say(`${reencrypted} re-encrypted, ${left} left`);
  if (left > undecryptable.length)
    say('others still write under an older key: restart them with the new one, and run again');
  return left > 0 ? 1 : 0;
});
