import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Config } from '../../../platform/config';
import { AuthModule } from '../auth.module';
import { DevKeySource } from './dev-key-source';
import { DevKeys } from './dev-keys';
import { devIssuerOf } from './issuer-url';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dev-issuer-'));
});
afterEach(() => rm(folder, { recursive: true }));

const settings = (): Config => Config.from({ NODE_ENV: 'test', DATA_DIR: join(folder, 'data') });

it('gives every process of a data folder one key, whoever starts first', async () => {
  const processes = Array.from({ length: 5 }, () => new DevKeys(settings()));
  const keys = await Promise.all(processes.map((process) => process.publicJwk()));
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(1);
  expect(await new DevKeys(settings()).publicJwk()).toEqual(keys[0]);
});

it('keeps the key where only its user can read it, and leaves nothing beside it', async () => {
  await new DevKeys(settings()).onModuleInit();
  const files = await readdir(join(folder, 'data'));
  expect(files).toEqual(['dev-issuer.key.pem']);
  expect((await stat(join(folder, 'data', 'dev-issuer.key.pem'))).mode & 0o777).toBe(0o600);
});

it('publishes no part of the key but the public one', async () => {
  expect(Object.keys(await new DevKeys(settings()).publicJwk()).toSorted()).toEqual(
    ['alg', 'e', 'kid', 'kty', 'n', 'use'].toSorted(),
  );
});

it.each([
  ['localhost:3000', 'http://localhost:3000'],
  ['127.0.0.1:41234', 'http://127.0.0.1:41234'],
  ['[::1]:3000', 'http://[::1]:3000'],
  ['LOCALHOST', 'http://localhost'],
  ['api:3000', 'http://localhost:3000'],
  ['localhost.evil.example', 'http://localhost:3000'],
  ['localhost:3000/path', 'http://localhost:3000'],
  [undefined, 'http://localhost:3000'],
])('asked at %s calls itself %s', (host, issuer) => {
  const named = devIssuerOf(host, 3_000);
  expect(named).toBe(issuer);
  expect(new DevKeySource(new DevKeys(settings())).accepts(named)).toBe(true);
});

it.each(['https://localhost:3000', 'http://evil.example', 'http://localhost.evil.example', 'localhost', ''])(
  'does not take %s for one of its names',
  (issuer) => expect(new DevKeySource(new DevKeys(settings())).accepts(issuer)).toBe(false),
);

it('is not loaded in production, nor beside another issuer', async () => {
  await expect(AuthModule.register(settings().with({ NODE_ENV: 'production' }))).rejects.toThrow('AUTH_ISSUER');
  const { imports } = await AuthModule.register(settings().with({ AUTH_ISSUER: 'https://issuer.example' }));
  expect(JSON.stringify(imports?.map((module) => (module as { name?: string }).name))).not.toContain('DevIssuer');
});
