import { Injectable, type OnModuleInit } from '@nestjs/common';
import { calculateJwkThumbprint, exportJWK, type JWK, SignJWT } from 'jose';
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { Config, keptFile } from '../../../platform/config';

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
  const privateKey = createPrivateKey(await keptFile(folder, fileName, makeKey));
  const jwk = await exportJWK(createPublicKey(privateKey));
  const kid = await calculateJwkThumbprint(jwk);
  return { privateKey, publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' } };
}

async function makeKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
