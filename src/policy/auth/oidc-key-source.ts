import { KeySource } from './key-source';

/** For discovery and keys together, in milliseconds. */
const loadTimeoutMs = 4_000;
const maxBodyBytes = 262_144;
const maxRedirects = 3;

/** The keys of an OpenID provider: its discovery document names them (OpenID Connect Discovery 1.0 §4). */
export class OidcKeySource extends KeySource {
  constructor(
    private readonly issuer: string,
    private readonly requiresHttps: boolean,
  ) {
    super();
  }

  accepts(issuer: string): boolean {
    return issuer === this.issuer;
  }

  async load(): Promise<readonly unknown[]> {
    const signal = AbortSignal.timeout(loadTimeoutMs);
    const discovery = await this.get(`${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, signal);
    if (discovery.issuer !== this.issuer) throw new Error('The discovery document is of another issuer');
    const { jwks_uri: address } = discovery;
    if (typeof address !== 'string') throw new Error('The discovery document names no jwks_uri');
    const { keys } = await this.get(address, signal);
    if (!Array.isArray(keys)) throw new Error('The key set has no keys');
    return keys as unknown[];
  }

  private async get(address: string, signal: AbortSignal): Promise<Record<string, unknown>> {
    let url = new URL(address);
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      if (this.requiresHttps && url.protocol !== 'https:') throw new Error('The issuer must be asked by https');
      const response = await fetch(url, { redirect: 'manual', signal, headers: { accept: 'application/json' } });
      if (response.ok) return objectOf(await limitedText(response));
      await response.body?.cancel();
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || location === null) {
        throw new Error(`The issuer answered ${response.status}`);
      }
      const next = new URL(location, url);
      if (next.origin !== url.origin) throw new Error('The issuer redirects to another host');
      url = next;
    }
    throw new Error('The issuer redirects too often');
  }
}

async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error(`The issuer answered more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function objectOf(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('The issuer answered no JSON object');
  }
  return value as Record<string, unknown>;
}
