export { FastExpressAdapter } from './fast-express.adapter';
export { Rendered } from './rendered';
