import { Injectable, type OnModuleInit } from '@nestjs/common';
import { calculateJwkThumbprint, exportJWK, type JWK, SignJWT } from 'jose';
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Config } from '../../../platform/config';

const algorithm = 'RS256';
const modulusLength = 2_048;
const fileName = 'dev-issuer.key.pem';

/** A key with what is published of it. */
interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicJwk: JWK & { readonly kid: string };
}

/** The development issuer's one key. It lies in DATA_DIR, so every process there signs and accepts the same tokens. */
@Injectable()
export class DevKeys implements OnModuleInit {
  private key: Promise<SigningKey> | undefined;

  constructor(private readonly config: Config) {}

  async onModuleInit(): Promise<void> {
    await this.load();
  }

  async publicJwk(): Promise<JWK> {
    return (await this.load()).publicJwk;
  }

  /** A signed token of these claims. */
  async sign(claims: Readonly<Record<string, unknown>>): Promise<string> {
    const { privateKey, publicJwk } = await this.load();
    return new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, kid: publicJwk.kid, typ: 'at+jwt' })
      .sign(privateKey);
  }

  private load(): Promise<SigningKey> {
    return (this.key ??= loadKey(this.config.get('DATA_DIR')));
  }
}

async function loadKey(folder: string): Promise<SigningKey> {
  const file = join(folder, fileName);
  const privateKey = createPrivateKey((await readIfThere(file)) ?? (await create(folder, file)));
  const jwk = await exportJWK(createPublicKey(privateKey));
  const kid = await calculateJwkThumbprint(jwk);
  return { privateKey, publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' } };
}

/** Writes a new key; of two processes that start at once both use the one whose file was there first, whole. */
async function create(folder: string, file: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength });
  await mkdir(folder, { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, file);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(draft);
  }
  return readFile(file, 'utf8');
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}
