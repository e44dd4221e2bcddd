import type { Type } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Caller } from '../auth/caller';
import type { Problem } from './problem';

/** What is known of a refusal when its answer is made. */
export interface Refusal {
  readonly problem: Problem;
  /** What the token had to hold any one of, where the route names scopes. */
  readonly neededScopes: readonly string[];
  /** `undefined` before authentication. */
  readonly caller: Caller | undefined;
}

/** How refusals look on routes that imitate another API. Port: the domain that imitates it says how. */
export interface ErrorShape {
  /** Whose shape it is, for the census and the document. */
  readonly name: string;
  /** The DTO of the answer, for the document. */
  readonly view: Type;
  /** The status on the wire of what would have this one as a problem document. */
  statusOf(status: number): number;
  /** The answer's JSON; the correlation id stands in the header alone. */
  bodyOf(refusal: Refusal): object;
}

/** Lets a route refuse in the shape of the API that it imitates, whatever refuses: each policy, the domain, a failure of ours. */
export const ErrorsAs = Reflector.createDecorator<ErrorShape>();
