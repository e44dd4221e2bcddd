// @ts-check
/** (c) fast-gateway with `express-rate-limit` and `express-jwt` as middlewares, as its own demos do; the limiter's store is its default, in memory. */
import { expressjwt } from 'express-jwt';
import { rateLimit } from 'express-rate-limit';
import gateway from 'fast-gateway';

const env = /** @type {Record<string, string>} */ (process.env);
const limiter = rateLimit({
  windowMs: 60_000,
  limit: 1_000_000_000,
  keyGenerator: (request) => String(request.socket.remoteAddress), // there is no Express here to work out `request.ip`
  validate: false,
});
const authenticate = expressjwt({
  secret: env.BENCH_PUBLIC_KEY,
  algorithms: ['RS256'],
  issuer: env.BENCH_ISSUER,
  audience: env.BENCH_AUDIENCE,
});

gateway({
  middlewares: [limiter, authenticate],
  routes: [{ prefix: '/me', prefixRewrite: '/me', pathRegex: '', target: env.BENCH_UPSTREAM }],
}).start(Number(env.PORT), '127.0.0.1');
