import { Injectable } from '@nestjs/common';
import { KeySource } from '../key-source';
import { DevKeys } from './dev-keys';
import { isDevIssuer } from './issuer-url';

/** The development issuer's key, read from DATA_DIR and not over HTTP: a process may check tokens before it serves. */
@Injectable()
export class DevKeySource extends KeySource {
  constructor(private readonly keys: DevKeys) {
    super();
  }

  accepts(issuer: string): boolean {
    return isDevIssuer(issuer);
  }

  async load(): Promise<readonly unknown[]> {
    return [await this.keys.publicJwk()];
  }
}
