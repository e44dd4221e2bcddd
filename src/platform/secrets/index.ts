export { FieldCipher, type FieldPlace } from './field-cipher';
export { FieldKeysRefused, FieldUndecryptable } from './secrets.errors';
export { cipherOf, SecretsModule } from './secrets.module';
