// @ts-check
/**
 * (b) Nest as people build it: each part as its own documentation sets it up (NestJS "Authentication", "Rate limiting" and "Serialization";
 * the README of `@nest-lab/throttler-storage-redis`). One limit, where ours decides three; no access log, where ours writes one.
 */
import { ThrottlerStorageRedisService } from '@nest-lab/throttler-storage-redis';
import { ClassSerializerInterceptor, Controller, Get, Module } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { Exclude, Expose } from 'class-transformer';
import { Redis } from 'ioredis';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { decorateClass, decorateMethod } from './decorate.mjs';

const env = /** @type {Record<string, string>} */ (process.env);
const answer = JSON.parse(env.BENCH_ANSWER);

class JwtStrategy extends PassportStrategy(Strategy) {
  constructor() {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      ignoreExpiration: false,
      secretOrKey: env.BENCH_PUBLIC_KEY,
      algorithms: ['RS256'],
      issuer: env.BENCH_ISSUER,
      audience: env.BENCH_AUDIENCE,
    });
  }

  /** @param {unknown} payload */
  validate(payload) {
    return payload;
  }
}
decorateClass(JwtStrategy, []);

class MeView {
  /** @param {object} values */
  constructor(values) {
    Object.assign(this, values);
  }
}
Exclude()(MeView);
for (const name of Object.keys(answer)) Expose()(MeView.prototype, name);

class MeController {
  me() {
    return new MeView(answer);
  }
}
decorateMethod(MeController, 'me', [Get('me')]);
decorateClass(MeController, [Controller()]);

class AppModule {}
decorateClass(AppModule, [
  Module({
    imports: [
      PassportModule,
      ThrottlerModule.forRoot({
        throttlers: [{ ttl: 60_000, limit: 1_000_000_000 }],
        storage: new ThrottlerStorageRedisService(new Redis(env.REDIS_URL)),
      }),
    ],
    controllers: [MeController],
    providers: [
      JwtStrategy,
      { provide: APP_GUARD, useClass: AuthGuard('jwt') },
      { provide: APP_GUARD, useClass: ThrottlerGuard },
      { provide: APP_INTERCEPTOR, useClass: ClassSerializerInterceptor },
    ],
  }),
]);

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(Number(env.PORT), '127.0.0.1');
