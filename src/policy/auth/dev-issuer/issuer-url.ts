const loopback = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
const scheme = 'http://';

/**
 * The development issuer's name: the loopback address that the client used, so that OIDC discovery works against every
 * process on whatever port it took. What makes a token ours is the key in DATA_DIR, which all these names share.
 */
export function devIssuerOf(host: string | undefined, port: number): string {
  return host !== undefined && loopback.test(host) ? `${scheme}${host.toLowerCase()}` : `${scheme}localhost:${port}`;
}

/** Whether that is one of the development issuer's names. */
export function isDevIssuer(issuer: string): boolean {
  return issuer.startsWith(scheme) && loopback.test(issuer.slice(scheme.length));
}
