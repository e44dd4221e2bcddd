// @ts-check
/** The authoriser's cached decision, as `AuthenticationGuard` asks for it, without the server round it. */
import { exported } from './exported.mjs';

/** @param {{ token: string, jwk: object, issuer: string, audience: string }} config */
export async function create({ token, jwk, issuer, audience }) {
  const [Config, Clock] = await exported('platform/config/index.js', 'Config', 'Clock');
  const [Log, Metrics] = await exported('platform/telemetry/index.js', 'Log', 'Metrics');
  const [KeySet] = await exported('policy/auth/key-set.js', 'KeySet');
  const [BearerStrategy] = await exported('policy/auth/bearer.strategy.js', 'BearerStrategy');
  const [RevocationList] = await exported('policy/auth/revocation/revocation-list.js', 'RevocationList');
  const [AuthoriserCache] = await exported('policy/auth/authoriser-cache.js', 'AuthoriserCache');

  const config = Config.from({ AUTH_AUDIENCE: audience, LOG_LEVEL: 'silent' });
  const [clock, log, metrics] = [new Clock(), new Log(config), new Metrics()];
  const source = { accepts: (/** @type {string} */ iss) => iss === issuer, load: async () => [jwk] };
  const keys = new KeySet(source, clock, log, metrics);
  await keys.refresh();
  const strategy = new BearerStrategy(keys, clock, config);
  const authoriser = new AuthoriserCache(strategy, keys, new RevocationList(metrics), clock, log, config, metrics);
  return {
    operate: () => authoriser.recall(token) ?? authoriser.verify(token),
    async summary() {
      const { values } = await metrics.registry.getSingleMetric('authoriser_verifications_total').get();
      return { verifications: values[0].value };
    },
  };
}
