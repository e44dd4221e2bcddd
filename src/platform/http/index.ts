export { onceEnded } from './ended';
export { FastExpressAdapter } from './fast-express.adapter';
export { pageHeaders } from './page-headers';
export { Rendered } from './rendered';
