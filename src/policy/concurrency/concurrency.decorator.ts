import { Reflector } from '@nestjs/core';
import type { WorkClass } from '../../platform/context';

/** The class of work a route belongs to; `standard` without it. `critical` has slots and connections of its own. */
export const Reserved = Reflector.createDecorator<WorkClass>();
