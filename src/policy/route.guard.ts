import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { AroundHandlers } from './pipeline/around';
import { requestOf, responseOf } from './request-state';
import { Routes } from './routes';

/** Tells the policies behind it which route was matched. Refuses nothing. */
@Injectable()
export class RouteGuard implements CanActivate {
  constructor(
    private readonly routes: Routes,
    private readonly around: AroundHandlers,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    const route = this.routes.of(context.getHandler());
    request.gate.route = route;
    request.gate.work.workClass = route.workClass;
    this.around.enter({ request, response: responseOf(context), route });
    return true;
  }
}
