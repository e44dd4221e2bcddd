import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** PagerDuty's event, as far as it is asked for here. */
export interface PostedEvent {
  readonly routing_key: string;
  readonly event_action: string;
  readonly dedup_key: string;
  readonly payload: {
    readonly summary: string;
    readonly severity: string;
    readonly custom_details: Readonly<Record<string, unknown>> & { readonly actor: string; readonly attempts: number };
  };
}

type Mode = 'ok' | 'down' | 'mute';

/** The other end of the pages: a real SMTP server and a real receiver of webhooks. */
export class SecurityContact {
  /** Whole messages as they came, in their order. */
  readonly mails: string[] = [];
  /** Events that were answered with success. */
  readonly events: PostedEvent[] = [];
  /** All that came, answered or not. */
  readonly posted: { readonly event: PostedEvent; readonly authorization: string | undefined }[] = [];
  refusedMails = 0;
  smtp: 'ok' | 'down' = 'ok';
  webhook: Mode = 'ok';
  private readonly muted: ServerResponse[] = [];

  private constructor(
    private readonly smtpServer: SMTPServer,
    private readonly httpServer: Server,
  ) {}

  static async start(): Promise<SecurityContact> {
    const smtpServer = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onMailFrom: (_address, _session, done) => {
        if (contact.smtp === 'down') contact.refusedMails += 1;
        done(contact.smtp === 'ok' ? null : new Error('not now'));
      },
      onData: (stream, _session, done) => {
        let text = '';
        stream.setEncoding('utf8').on('data', (part: string) => (text += part));
        stream.on('end', () => {
          contact.mails.push(text);
          done();
        });
      },
    });
    const httpServer = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => (text += part));
      request.on('end', () => contact.answer(text, request.headers.authorization, response));
    });
    const contact = new SecurityContact(smtpServer, httpServer);
    const smtp = smtpServer.listen(0, '127.0.0.1');
    httpServer.listen(0, '127.0.0.1');
    await Promise.all([once(smtp, 'listening'), once(httpServer, 'listening')]);
    return contact;
  }

  /** The variables by which the application finds it. */
  get environment(): Record<string, string> {
    const portOf = (address: unknown) => (address as AddressInfo).port;
    return {
      SMTP_URL: `smtp://127.0.0.1:${portOf(this.smtpServer.server.address())}`,
      MAIL_FROM: 'gatehouse@example.test',
      SECURITY_EMAIL: 'security@example.test',
      SECURITY_WEBHOOK_URL: `http://127.0.0.1:${portOf(this.httpServer.address())}/v2/enqueue`,
      SECURITY_WEBHOOK_KEY: 'routing-key',
    };
  }

  async end(): Promise<void> {
    for (const response of this.muted) response.destroy();
    this.httpServer.close();
    this.httpServer.closeAllConnections();
    await new Promise<void>((resolve) => this.smtpServer.close(resolve));
  }

  private answer(text: string, authorization: string | undefined, response: ServerResponse): void {
    const event = JSON.parse(text) as PostedEvent;
    this.posted.push({ event, authorization });
    if (this.webhook === 'mute') {
      this.muted.push(response);
      return;
    }
    if (this.webhook === 'ok') this.events.push(event);
    response.writeHead(this.webhook === 'ok' ? 202 : 503).end();
  }
}
