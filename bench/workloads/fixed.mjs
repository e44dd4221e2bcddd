// @ts-check
import { encode } from '../http.mjs';

/**
 * The same requests over and over, in turn.
 * @param {{ requests: import('../http.mjs').Request[] }} args @param {{ host: string }} target
 */
export function create({ requests }, { host }) {
  const encoded = requests.map((request) => encode(host, request));
  let i = 0;
  return { next: () => encoded[i++ % encoded.length] };
}
