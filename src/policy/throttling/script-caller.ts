import { type Redis, RedisUnavailable } from '../../platform/redis';
import type { Script } from './limit-scripts';

/**
 * Runs a script by its name; where Redis has forgotten it (a restart, `SCRIPT FLUSH`), once more with its text, in the
 * same request.
 * @throws RedisUnavailable when the answer is late, refused, or the connection is away
 */
export async function callScript(
  redis: Redis,
  script: Script,
  keys: readonly string[],
  values: readonly (string | number)[],
  deadlineMs: number,
): Promise<unknown> {
  if (!redis.isReady) throw new RedisUnavailable(`status ${redis.commands.status}`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // When this process itself stood still, timers fire before the sockets are read: an answer may be here already.
      setImmediate(() => reject(new RedisUnavailable(`no answer in ${deadlineMs} ms`)));
    }, deadlineMs);
  });
  try {
    return await Promise.race([evaluate(redis, script, keys, values), late]);
  } catch (error) {
    throw error instanceof RedisUnavailable ? error : new RedisUnavailable(error);
  } finally {
    clearTimeout(timer);
  }
}

async function evaluate(
  { commands }: Redis,
  script: Script,
  keys: readonly string[],
  values: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await commands.evalsha(script.sha1, keys.length, ...keys, ...values);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return await commands.eval(script.source, keys.length, ...keys, ...values);
  }
}
