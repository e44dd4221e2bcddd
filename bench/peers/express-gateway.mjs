// @ts-check
/**
 * (c) Express Gateway with its `jwt`, `rate-limit` (in Redis) and `proxy` policies; the two files are what its documentation has one write.
 * `delayAfter: 0`: by default it delays every request after a window's first by a further second.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import gateway from 'express-gateway';

const env = /** @type {Record<string, string>} */ (process.env);
const redis = new URL(env.REDIS_URL);
const folder = env.BENCH_FOLDER;
mkdirSync(join(folder, 'models'), { recursive: true });
writeFileSync(join(folder, 'public-key.pem'), env.BENCH_PUBLIC_KEY);
const model = { type: 'object', properties: {}, required: [] };
for (const name of ['users', 'applications', 'credentials']) {
  writeFileSync(
    join(folder, 'models', `${name}.json`),
    JSON.stringify({ $id: `http://express-gateway.io/models/${name}.json`, ...model }),
  );
}
// JSON is YAML.
writeFileSync(
  join(folder, 'system.config.yml'),
  JSON.stringify({
    db: {
      redis: {
        emulate: false,
        host: redis.hostname,
        port: Number(redis.port || 6379),
        password: decodeURIComponent(redis.password) || undefined,
        namespace: 'EG',
      },
    },
    crypto: { cipherKey: 'sensitiveKey', algorithm: 'aes256', saltRounds: 10 },
    session: { secret: 'keyboard cat', resave: false, saveUninitialized: false },
    accessTokens: { timeToExpiry: 7_200_000 },
    refreshTokens: { timeToExpiry: 7_200_000 },
    authorizationCodes: { timeToExpiry: 300_000 },
  }),
);
writeFileSync(
  join(folder, 'gateway.config.yml'),
  JSON.stringify({
    http: { port: Number(env.PORT), hostname: '127.0.0.1' },
    apiEndpoints: { api: { host: '*', paths: ['/me'] } },
    serviceEndpoints: { upstream: { url: env.BENCH_UPSTREAM } },
    policies: ['jwt', 'rate-limit', 'proxy'],
    pipelines: {
      me: {
        apiEndpoints: ['api'],
        policies: [
          {
            jwt: [
              {
                action: {
                  secretOrPublicKeyFile: join(folder, 'public-key.pem'),
                  jwtExtractor: 'authBearer',
                  checkCredentialExistence: false,
                  algorithms: ['RS256'],
                  issuer: env.BENCH_ISSUER,
                  audience: env.BENCH_AUDIENCE,
                },
              },
            ],
          },
          {
            'rate-limit': [
              { action: { max: 1_000_000_000, windowMs: 60_000, delayAfter: 0, delayMs: 0, rateLimitBy: '${req.ip}' } },
            ],
          },
          { proxy: [{ action: { serviceEndpoint: 'upstream' } }] },
        ],
      },
    },
  }),
);
/** @type {any} */ (gateway)().load(folder).run();
