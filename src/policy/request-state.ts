import type { Request, Response } from 'express';
import type { ExecutionContext } from '@nestjs/common';
import type { WorkContext } from '../platform/context';
import type { Caller } from './auth/caller';
import type { RoutePolicies } from './routes';

/** What the policies tell each other of a request; set by the first of them. */
export interface RequestState {
  readonly work: WorkContext;
  /** When the request's head was here, in `performance.now()` milliseconds. */
  readonly startedAt: number;
  /** The client's address, behind the trusted proxies. */
  readonly ip: string;
  /** The policies of the route; `undefined` until one matched. */
  route: RoutePolicies | undefined;
  /** Who calls; `undefined` before authentication and on public routes. */
  caller: Caller | undefined;
  /** The body's bytes as they came, where the route takes one. */
  rawBody: Buffer | undefined;
}

export type GateRequest = Request & { gate: RequestState };

/** The request of a guard's or handler's context. */
export function requestOf(context: ExecutionContext): GateRequest {
  return context.switchToHttp().getRequest<GateRequest>();
}

/** The response of a guard's or handler's context. */
export function responseOf(context: ExecutionContext): Response {
  return context.switchToHttp().getResponse<Response>();
}

/** The policies of the route that a guard stands before. */
export function routeOf(context: ExecutionContext): RoutePolicies {
  const { route } = requestOf(context).gate;
  if (!route) throw new Error('The route has no policies: RouteGuard must stand first');
  return route;
}
