import { Reflector } from '@nestjs/core';

/** How a route takes its body, where that is not JSON of the usual size. */
export interface BodyRules {
  /** Largest body; `FIREWALL_MAX_BODY_BYTES` without it. */
  readonly maxBytes?: number;
  /**
   * `json` and `form` parse; `json-or-form` parses what the type says, takes no body for an empty object, and converts
   * texts to the DTO's numbers and booleans; `raw` leaves the bytes in `rawBody`; `stream` leaves the request unread for the
   * handler.
   */
  readonly kind?: 'json' | 'form' | 'json-or-form' | 'raw' | 'stream';
}

/** Other rules for a route's body than the default: JSON, of at most `FIREWALL_MAX_BODY_BYTES`. */
export const TakesBody = Reflector.createDecorator<BodyRules>();
