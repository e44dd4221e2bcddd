export { SystemDatabase, SystemDatabaseModule } from './system-database';
