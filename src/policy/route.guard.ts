import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { requestOf } from './request-state';
import { Routes } from './routes';

/** Tells the policies behind it which route was matched. Refuses nothing. */
@Injectable()
export class RouteGuard implements CanActivate {
  constructor(private readonly routes: Routes) {}

  canActivate(context: ExecutionContext): boolean {
    const { gate } = requestOf(context);
    gate.route = this.routes.of(context.getHandler());
    gate.work.workClass = gate.route.workClass;
    return true;
  }
}
