// @ts-check
/** What stands behind the gateways of (c): the same bytes from bare `node:http`, on cores that are not the gateway's. */
import { createServer } from 'node:http';

const answer = Buffer.from(process.env.BENCH_ANSWER ?? '{}');
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': String(answer.length) };
createServer((_, response) => response.writeHead(200, headers).end(answer)).listen(
  Number(process.env.PORT),
  '127.0.0.1',
);
