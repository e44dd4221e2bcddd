import { Injectable } from '@nestjs/common';
import type { Transporter } from 'nodemailer';
import { Config } from '../config';

const connectTimeoutMs = 4_000;
/** How long the server may be silent. */
const silenceTimeoutMs = 5_000;
/** The longest from the call to its end: a server that drips does not stretch it. */
const exchangeTimeoutMs = 10_000;

/** A text without PHI: it leaves for servers that nobody here knows. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** The left half of its Message-ID: the same at every repetition. */
  readonly id: string;
  /** Milliseconds since the Unix epoch; the same at every repetition. */
  readonly date: number;
}

/** No server took the mail, or it is not known whether one did. */
export class MailFailed extends Error {
  /** @param errorClass names the failure for operators: few values, no addresses */
  constructor(
    readonly errorClass: string,
    cause: unknown,
  ) {
    super(`The mail failed: ${errorClass}`, { cause });
  }
}

/** Hands mails to the SMTP server of `SMTP_URL`. */
@Injectable()
export class Mailer {
  private readonly url: string | undefined;
  private transport: Promise<Transporter> | undefined;
  private readonly from: string;
  private readonly domain: string;

  constructor(config: Config) {
    this.url = config.get('SMTP_URL');
    this.from = config.get('MAIL_FROM') ?? '';
    this.domain = this.from.slice(this.from.lastIndexOf('@') + 1).replace(/>$/, '');
  }

  /** Whether there is a server to hand mails to. */
  get canSend(): boolean {
    return this.url !== undefined;
  }

  /**
   * Resolves once the server has taken the mail, in 10 s at the most.
   * @throws MailFailed
   */
  async send({ to, subject, text, id, date }: Mail): Promise<void> {
    if (this.url === undefined) throw new MailFailed('no_server', undefined);
    this.transport ??= transportTo(this.url);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new MailFailed('timeout', undefined)), exchangeTimeoutMs);
    });
    const messageId = `<${id}@${this.domain}>`;
    const mail = { from: this.from, to, subject, text, messageId, date: new Date(date) };
    const sent = this.transport.then((transport) => transport.sendMail(mail));
    try {
      await Promise.race([sent, late]);
    } catch (error) {
      throw error instanceof MailFailed ? error : new MailFailed(classOf(error), error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The library is loaded with the first mail: most processes never send one. */
async function transportTo(url: string): Promise<Transporter> {
  const { createTransport } = await import('nodemailer');
  return createTransport({
    url,
    connectionTimeout: connectTimeoutMs,
    dnsTimeout: connectTimeoutMs,
    greetingTimeout: connectTimeoutMs,
    socketTimeout: silenceTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

const classOfCode: Readonly<Record<string, string>> = {
  ECONNECTION: 'network',
  ESOCKET: 'network',
  EDNS: 'dns',
  ETIMEDOUT: 'timeout',
  EAUTH: 'login_refused',
  ENOAUTH: 'login_refused',
  ETLS: 'tls',
  EREQUIRETLS: 'tls',
  EENVELOPE: 'address_refused',
  EMESSAGE: 'message_refused',
};

function classOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: string };
  return classOfCode[String(code)] ?? 'refused';
}
