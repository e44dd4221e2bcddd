// @ts-check
import { encode } from '../http.mjs';
import { patientId, slotId } from '../ours/bookings.mjs';

/**
 * `POST /appointments`, each with a slot and an idempotency key of its own; with `replay`, the first one again and again.
 * @param {{ token: string, from: number, to: number, replay?: boolean }} args slots `from` … `to - 1`
 * @param {{ host: string }} target
 */
export function create({ token, from, to, replay = false }, { host }) {
  let n = from;
  return {
    next: () => (n >= to ? null : bookingRequest(host, token, replay ? from : n++)),
    summary: () => ({ ranOut: n >= to, used: n - from }),
  };
}

/** @param {string} host @param {string} token @param {number} n */
function bookingRequest(host, token, n) {
  return encode(host, {
    method: 'POST',
    path: '/appointments',
    headers: { Authorization: `Bearer ${token}`, 'Idempotency-Key': `bench-${n}` },
    body: { patientId: patientId(n), slotId: slotId(n), type: 'comprehensive_exam' },
  });
}
