export { FieldCipher, type FieldPlace } from './field-cipher';
export { checkKeys, retireOtherKeys } from './key-check';
export { FieldKeysRefused, FieldUndecryptable } from './secrets.errors';
export { cipherOf, SecretsModule } from './secrets.module';
