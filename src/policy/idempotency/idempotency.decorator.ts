import { Reflector } from '@nestjs/core';

const Metadata = Reflector.createDecorator<boolean>();

/**
 * A second request with the same `Idempotency-Key` gets the first one's bytes, whatever happened in between.
 * The key is required, counts per tenant, user and route, and is kept for 24 h
 * (draft-ietf-httpapi-idempotency-key-header; Stripe's and Twilio's manner).
 */
export const Idempotent = Object.assign(() => Metadata(true), { KEY: Metadata.KEY });
