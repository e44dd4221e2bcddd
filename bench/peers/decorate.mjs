// @ts-check
/** What TypeScript does with decorators, for files that no compiler sees. */
import 'reflect-metadata';

/** @param {Function} type @param {ClassDecorator[]} decorators @param {unknown[]} [parameters] types of the constructor's parameters */
export function decorateClass(type, decorators, parameters = []) {
  Reflect.defineMetadata('design:paramtypes', parameters, type);
  for (const decorate of decorators) decorate(type);
}

/** @param {Function} type @param {string} name @param {MethodDecorator[]} decorators */
export function decorateMethod(type, name, decorators) {
  const descriptor = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(type.prototype, name));
  for (const decorate of decorators) decorate(type.prototype, name, descriptor);
}
