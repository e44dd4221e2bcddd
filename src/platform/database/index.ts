export { ClassGate, type Shares } from './class-gate';
export {
  DatabaseBusy,
  DatabaseUnavailable,
  OutsideTransaction,
  StatementCancelled,
  TenantUnknown,
  ValueRefused,
} from './database.errors';
export { DatabaseModule } from './database.module';
export { FieldKeyRetired } from './field-key-retired';
export { TenantSigner } from './tenant-signer';
export { statement, type Sql, type Statement } from './statement';
export { ReadOnly, UnitOfWork } from './unit-of-work';
export { Transactional } from '@nestjs-cls/transactional';
