// @ts-check
/** (a) The controller, and nothing else: Nest 12 on its stock Express adapter. */
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { decorateClass, decorateMethod } from './decorate.mjs';

const answer = JSON.parse(process.env.BENCH_ANSWER ?? '{}');

class MeController {
  me() {
    return answer;
  }
}
decorateMethod(MeController, 'me', [Get('me')]);
decorateClass(MeController, [Controller()]);

class AppModule {}
decorateClass(AppModule, [Module({ controllers: [MeController] })]);

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(Number(process.env.PORT), '127.0.0.1');
