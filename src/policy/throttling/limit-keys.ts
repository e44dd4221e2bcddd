import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { SieveCache } from '../auth/sieve-cache';
import type { Denial } from './denial';

const mostApps = 50_000;
/** Of all apps together, an app in two tenants counting twice. */
const mostTenants = 100_000;
/** Of a window larger than this, only the newest requests can be told to a Redis that lost them. */
const mostGrants = 1_024;

/** A key in Redis, as this process holds it. */
export class LimitKey {
  /** Until when this key refuses, as far as this process knows. */
  denial: Denial | undefined;
  /** Requests that counted under this key (in the window, on the day) when Redis last said so. */
  used = 0;
  /** When that was, by the process' clock. */
  usedAt = 0;
  /** Until when, by Redis' clock, Redis must have this key, since it granted something to this process under it. */
  countsUntilMs = 0;
  /** Of a window, when Redis granted what to this process, by Redis' clock; the oldest first, a time for each request. */
  private readonly grants: number[] = [];
  /** Which of Redis' memories that was (see `RedisWatch.memory`). */
  memory = 0;
  /** Redis has lost this key, and was not told yet. */
  isLost = false;
  /**
   * Requests that counted when Redis was last away, on all nodes as far as this one could tell; `undefined` once Redis has
   * said itself how many.
   */
  assumed: number | undefined;
  /** When that was, by the process' clock. */
  assumedAt = 0;

  constructor(
    /** The name in Redis: hashes only. */
    readonly name: string,
    /** What stands in the braces of the name: all keys with the same tag live in one slot of a Redis Cluster. */
    readonly tag: string,
  ) {}

  /** Notes that so many requests were granted then, in a window of that length. */
  noteGrants(atMs: number, requests: number, windowMs: number): void {
    const { grants } = this;
    const newest = grants.at(-1) ?? atMs;
    for (let request = 0; request < requests; request += 1) grants.push(atMs);
    if (atMs < newest) grants.sort((a, b) => a - b);
    this.countsUntilMs = Math.max(atMs, newest) + windowMs;
    // Not one by one: most requests find nothing to forget, or half of it.
    if ((grants[0] ?? atMs) + windowMs <= atMs)
      grants.splice(
        0,
        grants.findIndex((time) => time + windowMs > atMs),
      );
    if (grants.length > 2 * mostGrants) grants.splice(0, grants.length - mostGrants);
  }

  /** Takes back that many of the requests that were granted then. */
  forgetGrants(atMs: number, requests: number, windowMs: number): void {
    const { grants } = this;
    for (let request = 0; request < requests; request += 1) {
      const found = grants.lastIndexOf(atMs);
      if (found < 0) break;
      grants.splice(found, 1);
    }
    this.countsUntilMs = grants.length === 0 ? 0 : (grants.at(-1) ?? 0) + windowMs;
  }

  /**
   * Follows Redis' clock, which has gone back, as the script does: the newest was granted now, and nothing counts for longer
   * than until then.
   */
  pullBack(nowMs: number, latestMs: number): void {
    const { grants } = this;
    const aheadMs = Math.max(0, (grants.at(-1) ?? nowMs) - nowMs);
    grants.forEach((atMs, index) => (grants[index] = atMs - aheadMs));
    this.countsUntilMs = Math.min(this.countsUntilMs, latestMs);
  }

  /** What Redis granted to this process, and when. */
  get granted(): readonly number[] {
    return this.grants;
  }
}

/** The windows of an app in a tenant, by their route. */
type TenantWindows = Map<string, LimitKey>;

/** The keys of one app. */
export class AppKeys {
  /** Plan rate and quota. */
  readonly plan: LimitKey;

  /** @param windows of all apps, so that one in very many tenants takes room from those that nobody asks for */
  constructor(
    clientId: string,
    private readonly windows = new SieveCache<TenantWindows>(mostTenants),
  ) {
    // 78 bits: among 500,000 apps two share a tag with a chance of 4 in 10^13. A window's name then takes 27 bytes, the most
    // that fit an allocation of 32.
    const tag = hashed(clientId).slice(0, 13);
    this.plan = new LimitKey(`rl:{${tag}}`, tag);
  }

  /** The window of this app in that tenant on that route. */
  window(tenant: string, route: string): LimitKey {
    const { tag } = this.plan;
    const place = `${tag}${tenant}`;
    let ofTenant = this.windows.get(place);
    if (!ofTenant) this.windows.set(place, (ofTenant = new Map<string, LimitKey>()));
    let key = ofTenant.get(route);
    if (!key) {
      key = new LimitKey(`rl:{${tag}}${hashed(`${tenant}\n${route}`).slice(0, 9)}`, tag);
      ofTenant.set(route, key);
    }
    return key;
  }
}

/** The keys of the apps and tenants seen lately; what is forgotten costs a hash, and its denials a call to Redis. */
@Injectable()
export class LimitKeys {
  private readonly apps = new SieveCache<AppKeys>(mostApps);
  private readonly windows = new SieveCache<TenantWindows>(mostTenants);

  of(clientId: string): AppKeys {
    let keys = this.apps.get(clientId);
    if (!keys) this.apps.set(clientId, (keys = new AppKeys(clientId, this.windows)));
    return keys;
  }
}

/** Splits a list into those that may share a call on a Redis Cluster. */
export function byTag<Item>(items: readonly Item[], tagOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const tag = tagOf(item);
    const group = groups.get(tag);
    if (group) group.push(item);
    else groups.set(tag, [item]);
  }
  return [...groups.values()];
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
