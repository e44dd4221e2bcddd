import pg from 'pg';

/** What the driver's connection can do beyond its published types. */
interface Wire extends pg.Connection {
  connect(port: number, host: string): void;
  connect(socket: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/** What the driver knows of a session beyond its published types. */
interface Session {
  readonly host: string;
  readonly port: number;
  readonly ssl: NonNullable<pg.ConnectionConfig['ssl']>;
  readonly sslNegotiation: string;
  readonly processID: number;
  readonly secretKey: number;
}

/**
 * Asks to cancel whatever the session runs, by PostgreSQL's CancelRequest (Frontend/Backend Protocol, 54.2.9), over a connection
 * of its own that needs no login and counts against no limit. A pooler passes it on to the server that works for the session,
 * whose own process id a client behind it never learns. Resolves when the request was taken, which says not that it hit.
 * @throws Error when nobody takes it within `timeoutMs`
 */
export function requestCancel(client: pg.PoolClient, timeoutMs: number): Promise<void> {
  const { host, port, ssl, sslNegotiation, processID, secretKey } = client as unknown as Session;
  const settings = { ssl, sslNegotiation } as pg.ConnectionConfig;
  const wire = new pg.Connection(settings) as Wire;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => wire.stream.destroy(new Error('Nobody took a request to cancel')), timeoutMs);
    const send = () => wire.cancel(processID, secretKey);
    wire.on('error', (error: Error) => {
      clearTimeout(timer);
      reject(error);
    });
    wire.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    wire.once(ssl ? 'sslconnect' : 'connect', send);
    if (ssl && sslNegotiation !== 'direct') wire.once('connect', () => wire.requestSsl());
    if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`);
    else wire.connect(port, host);
  });
}
