import { Module } from '@nestjs/common';
import { Config } from '../config';
import { SystemDatabaseModule } from '../database/system';
import { FieldCipher } from './field-cipher';
import { KeyCheck } from './key-check';
import { keysOfFolder } from './key-file';

/** The cipher of this environment's keys: those of PHI_KEYS, else those of the development folder. */
export async function cipherOf(config: Config): Promise<FieldCipher> {
  return new FieldCipher(config.get('PHI_KEYS') ?? (await keysOfFolder(config.get('DATA_DIR'))));
}

/** Encryption of single fields. */
@Module({
  imports: [SystemDatabaseModule],
  providers: [{ provide: FieldCipher, inject: [Config], useFactory: cipherOf }, KeyCheck],
  exports: [FieldCipher],
})
export class SecretsModule {}
