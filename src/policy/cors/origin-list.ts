import { Injectable } from '@nestjs/common';
import { Config } from '../../platform/config';

/**
 * The origins whose pages may read answers: exact serialised origins (RFC 6454 §6.2), compared byte by byte, so that no
 * pattern, suffix, other port or other case can slip in.
 */
@Injectable()
export class OriginList {
  private origins: ReadonlySet<string>;

  constructor(config: Config) {
    this.origins = setOf(config.get('CORS_ORIGINS'));
  }

  get isEmpty(): boolean {
    return this.origins.size === 0;
  }

  has(origin: string): boolean {
    return this.origins.has(origin);
  }

  /**
   * Takes another list from the next request on.
   * @throws Error where an entry is no exact origin; the old list then stays
   */
  replace(origins: Iterable<string>): void {
    this.origins = setOf(origins);
  }
}

function setOf(origins: Iterable<string>): ReadonlySet<string> {
  const list = new Set(origins);
  for (const origin of list) {
    const isExact = /^https?:\/\/[^*]+$/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin;
    if (!isExact) throw new Error(`An allowed origin must be exact, such as https://shop.example; got "${origin}"`);
  }
  return list;
}
