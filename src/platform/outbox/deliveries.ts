import type { JobContext } from '../queues';

/** What a queue carries: names, nothing of the event's content. */
export interface DeliveryJob extends JobContext {
  readonly eventId: string;
}

/** The name of a delivery: its job's id, and its dead letter's. */
export function deliveryId(eventId: string, consumer: string): string {
  return `${eventId}.${consumer}`;
}

/** Reads a delivery's name; `undefined` for what is none. */
export function parseDeliveryId(id: string): { eventId: string; consumer: string } | undefined {
  const [, eventId, consumer] = /^(evt_[0-9a-z]{1,64})\.([a-z0-9-]{1,64})$/.exec(id) ?? [];
  return eventId !== undefined && consumer !== undefined ? { eventId, consumer } : undefined;
}
