export { ErasureUnknown, eraseTenant, forgetErased, survives } from './erase';
export { exportTenant } from './export';
export { nameOf, type Tenant, tenantHomes, tenantNamed } from './tenant';
export { type Rotation, rotateKeys } from './rotate';
