import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA, ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { TakesBody } from './body/body.decorator';

type Handler = (this: object, ...values: unknown[]) => unknown;

/**
 * Declares a handler for both verbs of a path: POST with its `@Body()`, GET with the same DTO from the query. All that is
 * said of the handler, by whatever decorator in whatever order, is said of both.
 */
export function PostOrGet(path: string) {
  return (prototype: object, name: string, descriptor: PropertyDescriptor): void => {
    const post = descriptor.value as Handler;
    declare(post, RequestMethod.POST, path);

    const getName = `${name}ByGet`;
    const get = {
      [getName](this: object, ...values: unknown[]) {
        return post.apply(this, values);
      },
    }[getName] as Handler;
    // Metadata is inherited (`Reflect.getMetadata` asks the prototypes): what is said of the one later, the other says, too.
    Object.setPrototypeOf(get, post);
    declare(get, RequestMethod.GET, path);
    TakesBody({})(get);
    Object.defineProperty(prototype, getName, { ...descriptor, value: get });

    const types: unknown = Reflect.getMetadata('design:paramtypes', prototype, name);
    Reflect.defineMetadata('design:paramtypes', types, prototype, getName);
    const controller = prototype.constructor;
    const values = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) as Readonly<Record<string, unknown>>;
    Reflect.defineMetadata(ROUTE_ARGS_METADATA, fromQuery(values), controller, getName);
  };
}

function declare(handler: Handler, method: RequestMethod, path: string): void {
  Reflect.defineMetadata(METHOD_METADATA, method, handler);
  Reflect.defineMetadata(PATH_METADATA, path, handler);
}

/** A handler's parameters, by kind and index, with the query in the place of the body. */
function fromQuery(parameters: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const body = `${RouteParamtypes.BODY}:`;
  return Object.fromEntries(
    Object.entries(parameters).map(([key, parameter]) => [
      key.startsWith(body) ? `${RouteParamtypes.QUERY}:${key.slice(body.length)}` : key,
      parameter,
    ]),
  );
}
