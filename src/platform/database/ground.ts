export { bootstrap, type Logins } from './bootstrap';
export { migrate } from './migrate';
