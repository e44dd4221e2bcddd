import { Body, Controller } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { Scopes, TokenField } from './auth/access.decorators';
import { PostOrGet } from './post-or-get.decorator';
import { Routes } from './routes';
import { RateTier } from './throttling/throttling.decorators';

class Named {}

@Controller('api')
@TokenField('token')
class Things {
  @Scopes('above')
  @PostOrGet('things.read')
  @RateTier(2)
  read(@Body() request: Named) {
    return { self: this, request };
  }
}

describe('a handler for POST and GET', () => {
  it('says of both what decorators say of it, above and below, and takes the same DTO from the body or the query', async () => {
    const module = await Test.createTestingModule({
      controllers: [Things],
      imports: [DiscoveryModule],
      providers: [Routes],
    }).compile();
    const [byGet, byPost] = module.get(Routes).all();
    expect(byGet).toMatchObject({ name: 'GET /api/things.read', scopes: ['above'], tier: 2, body: {} });
    expect(byPost).toMatchObject({ name: 'POST /api/things.read', scopes: ['above'], tier: 2, tokenField: 'token' });
    expect([byGet?.inputs, byGet?.tokenField]).toEqual([
      { query: Named, body: undefined, params: undefined },
      undefined,
    ]);
    expect(byPost?.inputs).toEqual({ body: Named, query: undefined, params: undefined });
    const things = module.get(Things);
    const answered: unknown = byGet?.handler.call(things, ...(['asked'] as never[]));
    expect(answered).toEqual({ self: things, request: 'asked' });
    await module.close();
  });
});
