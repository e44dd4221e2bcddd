import { Reflector } from '@nestjs/core';

/** Slack's tiers: 1, 20, 50 and 100 requests a minute for each (app, workspace, method). */
export type Tier = 1 | 2 | 3 | 4;

/** Puts a route under a tier, besides the caller's usage plan. */
export const RateTier = Reflector.createDecorator<Tier>();

/** Takes a route out of the usage plan; the reason is printed in the census. */
export const Unmetered = Reflector.createDecorator<string>();

/** How many requests one call counts as; 1 without it. */
export const Weight = Reflector.createDecorator<number>();
