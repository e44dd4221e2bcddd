export { mountDashboard } from './dashboard';
export { OperationsModule } from './operations.module';
