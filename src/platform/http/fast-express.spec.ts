import { Controller, Get, type INestApplication, Module, Post, Req, Res, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Request, Response } from 'express';
import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import { FastExpressAdapter } from './fast-express.adapter';
import { Rendered } from './rendered';

/** Uses Express's own API of both, so that the two adapters can be compared answer by answer. */
@Controller()
class EverythingController {
  @Get('request/:id')
  request(@Req() request: Request) {
    return {
      kinds: [request instanceof IncomingMessage, request.res instanceof ServerResponse],
      get: request.get('X-Given'),
      header: request.header('referer') ?? null,
      accepts: request.accepts(['html', 'json']),
      charset: request.acceptsCharsets('utf-8'),
      encoding: request.acceptsEncodings('gzip', 'identity'),
      language: request.acceptsLanguages('en', 'de'),
      is: request.is('json'),
      query: request.query,
      params: request.params,
      protocol: request.protocol,
      secure: request.secure,
      ip: typeof request.ip,
      ips: request.ips,
      hostname: request.hostname,
      subdomains: request.subdomains,
      path: request.path,
      originalUrl: request.originalUrl,
      baseUrl: request.baseUrl,
      fresh: request.fresh,
      stale: request.stale,
      xhr: request.xhr,
      range: request.range(100) ?? null,
      app: typeof request.app.get('env'),
      back: request.res?.req === request,
    };
  }

  @Get('json')
  json(@Res() response: Response) {
    response.status(202).set({ 'X-One': '1' }).append('Link', '<a>').links({ next: 'b' }).vary('Accept').type('json');
    response.cookie('c', 'v', { httpOnly: true }).clearCookie('d');
    response.json({ got: response.get('x-one'), locals: Object.keys(response.locals) });
  }

  @Get('format')
  format(@Res() response: Response) {
    response.format({ json: () => response.json({ as: 'json' }), text: () => response.send('text') });
  }

  @Get('redirect')
  redirect(@Res() response: Response) {
    response.redirect(303, '/json');
  }

  @Get('send-status')
  sendStatus(@Res() response: Response) {
    response.sendStatus(418);
  }

  @Get('attachment')
  attachment(@Res() response: Response) {
    response.attachment('a.txt').send(Buffer.from('bytes'));
  }

  @Get('jsonp')
  jsonp(@Res() response: Response) {
    response.jsonp({ a: 1 });
  }

  @Post('plain')
  plain() {
    return 'text';
  }

  @Get('nothing')
  nothing(): void {
    // answers without a body
  }
}

@Module({ controllers: [EverythingController] })
class EverythingModule {}

class RenderedController {
  answer() {
    return new Rendered(201, '{"a":"ä"}', { 'X-Given': 'yes' });
  }

  none() {
    return new Rendered(204, undefined);
  }
}
Controller()(RenderedController);
Get('rendered')(
  RenderedController.prototype,
  'answer',
  Object.getOwnPropertyDescriptor(RenderedController.prototype, 'answer') ?? {},
);
Get('none')(
  RenderedController.prototype,
  'none',
  Object.getOwnPropertyDescriptor(RenderedController.prototype, 'none') ?? {},
);

@Module({ controllers: [RenderedController] })
class RenderedModule {}

async function serve(module: Type, adapter: ExpressAdapter): Promise<{ app: INestApplication; url: string }> {
  const app = await NestFactory.create(module, adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}

describe('FastExpressAdapter', () => {
  let stock: { app: INestApplication; url: string };
  let fast: { app: INestApplication; url: string };

  beforeAll(async () => {
    const plain = new ExpressAdapter();
    plain.disable('etag');
    plain.disable('x-powered-by');
    stock = await serve(EverythingModule, plain);
    fast = await serve(EverythingModule, new FastExpressAdapter());
  });
  afterAll(() => Promise.all([stock.app.close(), fast.app.close()]));

  const seen = async (url: string, path: string, method: string) => {
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { 'x-given': 'y', accept: 'application/json' },
    });
    const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'date'));
    return { status: response.status, headers, text: (await response.text()).replaceAll(url, '') };
  };

  it.each([
    ['GET', '/request/7?a=1&b=2&b=3'],
    ['GET', '/json'],
    ['HEAD', '/json'],
    ['GET', '/format'],
    ['GET', '/redirect'],
    ['GET', '/send-status'],
    ['GET', '/attachment'],
    ['GET', '/jsonp?callback=f'],
    ['POST', '/plain'],
    ['GET', '/nothing'],
    ['GET', '/unknown'],
    ['OPTIONS', '/json'],
  ])('answers %s %s as stock Express does', async (method, path) => {
    expect(await seen(fast.url, path, method)).toEqual(await seen(stock.url, path, method));
  });

  it('creates requests and responses that need no new prototype', async () => {
    const express = fast.app.getHttpAdapter().getInstance() as { request: object; response: object };
    let prototypes: unknown[] = [];
    (fast.app.getHttpServer() as Server).prependOnceListener('request', (request: object, response: object) => {
      prototypes = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)];
    });
    await fetch(`${fast.url}/json`);
    expect(prototypes[0]).toBe(express.request);
    expect(prototypes[1]).toBe(express.response);
  });

  it('sends a rendered answer in its exact bytes', async () => {
    const { app, url } = await serve(RenderedModule, new FastExpressAdapter());
    const answer = await fetch(`${url}/rendered`);
    expect([answer.status, answer.headers.get('x-given'), await answer.text()]).toEqual([201, 'yes', '{"a":"ä"}']);
    expect(answer.headers.get('content-length')).toBe('10');
    expect((await fetch(`${url}/none`)).status).toBe(204);
    const head = await fetch(`${url}/rendered`, { method: 'HEAD' });
    expect([head.headers.get('content-length'), await head.text()]).toEqual(['10', '']);
    await app.close();
  });
});
