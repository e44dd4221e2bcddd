import { type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FastExpressAdapter } from '../../platform/http';
import { mountDashboard } from './dashboard';

@Module({})
class NothingModule {}

const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const hashed = '/dashboard/assets/main-AAAA1111.js';

describe('mountDashboard', () => {
  let app: INestApplication;
  let folder: string;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-dashboard-'));
    await mkdir(join(folder, 'assets'));
    await writeFile(join(folder, 'index.html'), '<title>the page</title>');
    await writeFile(join(folder, 'assets/main-AAAA1111.js'), 'export {};');
    app = await NestFactory.create(NothingModule, new FastExpressAdapter(), { logger: false });
    mountDashboard(app, folder);
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });
  afterAll(async () => {
    await app.close();
    await rm(folder, { recursive: true });
  });

  it.each(['/dashboard', '/dashboard/', '/dashboard/dead-letters', '/dashboard/any/depth?x=1'])(
    'gives the page to a page load of %s, to be asked for again next time',
    async (path) => {
      const answer = await fetch(url + path, { headers: html });
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe('<title>the page</title>');
      expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(answer.headers.get('cache-control')).toBe('no-cache');
    },
  );

  it('gives a hashed file for ever', async () => {
    const answer = await fetch(url + hashed);
    expect([answer.status, await answer.text()]).toEqual([200, 'export {};']);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  });

  it('gives the page of a new build at once, though its time and size are those of the old one', async () => {
    const { mtime } = await stat(join(folder, 'index.html'));
    const first = await fetch(`${url}/dashboard`, { headers: html });
    await writeFile(join(folder, 'index.html'), '<title>new page</title>');
    await utimes(join(folder, 'index.html'), mtime, mtime);
    const validators = {
      'if-none-match': first.headers.get('etag') ?? '"none"',
      'if-modified-since': first.headers.get('last-modified') ?? mtime.toUTCString(),
    };
    const second = await fetch(`${url}/dashboard`, { headers: { ...html, ...validators } });
    expect([second.status, await second.text()]).toEqual([200, '<title>new page</title>']);
    await writeFile(join(folder, 'index.html'), '<title>the page</title>');
  });

  it.each([
    ['GET', '/dashboard/assets/main-GONE0000.js', html],
    ['GET', '/dashboard/assets/', html],
    ['GET', '/dashboard/data', { accept: 'application/json' }],
    ['GET', '/dashboard/data', { accept: '*/*' }],
    ['POST', '/dashboard', html],
    ['GET', '/dashboards', html],
    ['GET', '/dashboard/assets/..%2f..%2fpackage.json', { accept: '*/*' }],
  ])('leaves %s %s to the API, which knows no such route', async (method, path, headers) => {
    const answer = await fetch(url + path, { method, headers });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'application/json; charset=utf-8']);
  });

  it.each(['/dashboard', hashed])(
    'lets %s run nothing inline, load nothing from elsewhere, and be framed by nobody',
    async (path) => {
      const { headers } = await fetch(url + path, { headers: html });
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    },
  );

  it('says how to build what is not built', async () => {
    const unbuilt = await NestFactory.create(NothingModule, new FastExpressAdapter(), { logger: false });
    mountDashboard(unbuilt, join(folder, 'nowhere'));
    await unbuilt.listen(0, '127.0.0.1');
    const answer = await fetch(`${await unbuilt.getUrl()}/dashboard`, { headers: html });
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('npm run build')]);
    await unbuilt.close();
  });
});
