import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express, type Response } from 'express';
import { createServer, IncomingMessage, ServerResponse, type ServerOptions } from 'node:http';
import { Rendered } from './rendered';

/**
 * Express without its prototype penalty. Express gives each request and response a new prototype
 * (`Object.setPrototypeOf` in `app.handle`), and V8 then leaves its fast paths for both. Here Node creates them with
 * Express's methods in place, so that the assignment changes nothing: the same handler answers about three times as often.
 */
export class FastExpressAdapter extends ExpressAdapter {
  constructor(private readonly serverOptions: ServerOptions = {}) {
    super();
    const app = this.getInstance<Express>();
    app.disable('x-powered-by');
    app.disable('etag'); // `policy/caching` decides what has one; Express would hash every body
  }

  override initHttpServer(options: NestApplicationOptions): void {
    const app = this.getInstance<Express>();
    class GateIncoming extends IncomingMessage {}
    class GateOutgoing extends ServerResponse {}
    inherit(GateIncoming.prototype, express.request, app.request);
    inherit(GateOutgoing.prototype, express.response, app.response);
    app.request = GateIncoming.prototype as unknown as Express['request'];
    app.response = GateOutgoing.prototype as unknown as Express['response'];
    const classes = { IncomingMessage: GateIncoming, ServerResponse: GateOutgoing } as unknown as ServerOptions;
    this.httpServer = createServer({ ...this.serverOptions, ...classes }, app);
    if (options.forceCloseConnections) throw new Error('forceCloseConnections would fail requests that were accepted');
  }

  /** Sends what the response policy rendered as it is; everything else goes Express's way. */
  override reply(response: Response, body: unknown, statusCode?: number): unknown {
    if (!(body instanceof Rendered)) return super.reply(response, body, statusCode) as unknown;
    response.statusCode = body.status;
    for (const [name, value] of Object.entries(body.headers)) response.setHeader(name, value);
    if (body.text === undefined) return response.end();
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.setHeader('Content-Length', Buffer.byteLength(body.text));
    return response.end(response.req.method === 'HEAD' ? undefined : body.text);
  }
}

/** Copies Express's methods and accessors; the later source wins, as in Express's own chain. */
function inherit(target: object, ...sources: object[]): void {
  for (const source of sources) Object.defineProperties(target, Object.getOwnPropertyDescriptors(source));
}
