export { Context, ContextModule, freshContext, type WorkClass, type WorkContext } from './work-context';
