export { eraseTenant, survives } from './erase';
export { exportTenant } from './export';
export { type Rotation, rotateKeys } from './rotate';
