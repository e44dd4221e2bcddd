import { Inject, Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { Response } from 'express';
import { ClsServiceManager, type ClsStore } from 'nestjs-cls';
import type { GateRequest } from '../request-state';
import { type RoutePolicies, Routes } from '../routes';

/** One request on its way through the policies that surround the handler. */
export interface Passage {
  readonly request: GateRequest;
  readonly response: Response;
  readonly route: RoutePolicies;
}

/** A policy that acts before and after the handler. */
export interface AroundPolicy {
  around(passage: Passage, next: () => Promise<unknown>): Promise<unknown>;
}

export const AROUND_POLICIES = Symbol('around policies');

const passageKey = Symbol('passage');

interface Store extends ClsStore {
  [passageKey]?: Passage;
}

type Handler = (...values: unknown[]) => unknown;

/**
 * Runs the around policies, in the order of their list, as plain promises around each handler. Not as Nest interceptors: the
 * first one makes Nest build four observables, a replay subject and an async resource for every request, which costs as
 * much as all policies before it.
 */
@Injectable()
export class AroundHandlers {
  private readonly cls = ClsServiceManager.getClsService<Store>();

  constructor(
    @Inject(AROUND_POLICIES) private readonly policies: readonly AroundPolicy[],
    private readonly discovery: DiscoveryService,
    private readonly routes: Routes,
  ) {}

  /** Tells the policies around the handler, which Nest calls with its parameters alone, of which request it is. */
  enter(passage: Passage): void {
    const store = this.cls.get() as Store | undefined;
    if (!store) throw new Error('A request has no context: ContextMiddleware must stand first');
    store[passageKey] = passage;
  }

  /** Puts the policies around every handler. Called once, after the controllers exist and before Nest reads their methods. */
  wrapAll(): void {
    for (const { instance, metatype } of this.discovery.getControllers()) {
      if (typeof metatype !== 'function') continue;
      for (const route of this.routes.ofController(metatype as Type)) {
        const controller = instance as Record<string, Handler>;
        const name = route.handler.name;
        const wrapped = this.wrapped(route.handler as Handler, controller);
        for (const key of Reflect.getMetadataKeys(route.handler) as unknown[]) {
          Reflect.defineMetadata(key, Reflect.getMetadata(key, route.handler), wrapped);
        }
        Object.defineProperty(wrapped, 'name', { value: name });
        controller[name] = wrapped;
        this.routes.alias(wrapped, route);
      }
    }
  }

  /**
   * The passage, once: the context outlives its request, in the timer of the kept connection, and would hold the request, its
   * answer and all that was read for it as long.
   */
  private take(): Passage {
    const store = this.cls.get() as Store | undefined;
    const passage = store?.[passageKey];
    if (!passage) throw new Error('A handler was called past the guards');
    store[passageKey] = undefined;
    return passage;
  }

  private wrapped(handler: Handler, controller: object): Handler {
    return (...values) => {
      const passage = this.take();
      const run = (index: number): Promise<unknown> => {
        const policy = this.policies[index];
        if (policy) return policy.around(passage, () => run(index + 1));
        return Promise.resolve(handler.apply(controller, values));
      };
      return run(0);
    };
  }
}
