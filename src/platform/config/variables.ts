import { availableParallelism } from 'node:os';
import { fieldKeys } from './field-keys';

/** One environment variable: its default, why it exists, and how its text becomes a value. */
export interface Variable<Value> {
  /** The text assumed when the variable is unset; `undefined` means "not set" is itself a setting. */
  readonly fallback: string | undefined;
  /** What it decides and why one would change it; printed into `.env.example`. */
  readonly reason: string;
  /** Turns the text into the value, or throws an `Error` whose message completes "NAME …". */
  readonly parse: (text: string) => Value;
}

type Optional<Value> = Variable<Value> & { readonly fallback: undefined };
type Required<Value> = Variable<Value> & { readonly fallback: string };

function oneOf<const Choice extends string>(choices: readonly Choice[]) {
  return (text: string): Choice => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw new Error(`must be one of ${choices.join(', ')}; got "${text}"`);
    return choice;
  };
}

function integer(from: number, to: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < from || value > to || text.trim() === '') {
      throw new Error(`must be a whole number from ${from} to ${to}; got "${text}"`);
    }
    return value;
  };
}

function url(...protocols: string[]) {
  return (text: string): string => {
    if (!URL.canParse(text)) throw new Error('must be a URL');
    const { protocol } = new URL(text);
    if (!protocols.includes(protocol))
      throw new Error(`must start with ${protocols.join(' or ')}//; got ${protocol}//`);
    return text;
  };
}

function origins(text: string): string[] {
  const list = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  for (const entry of list) {
    if (!URL.canParse(entry) || new URL(entry).origin !== entry) {
      throw new Error(`must list exact origins such as https://shop.example; got "${entry}"`);
    }
  }
  return list;
}

const text = (value: string): string => value;
const flag = (value: string): boolean => oneOf(['on', 'off'])(value) === 'on';

function required<Value>(fallback: string, parse: (text: string) => Value, reason: string): Required<Value> {
  return { fallback, parse, reason };
}

function optional<Value>(parse: (text: string) => Value, reason: string): Optional<Value> {
  return { fallback: undefined, parse, reason };
}

/** Every environment variable that Gatehouse reads. `.env.example` is printed from this table. */
export const variables = {
  NODE_ENV: required(
    'development',
    oneOf(['development', 'test', 'production']),
    'production refuses everything that is for development only',
  ),
  PORT: required('3000', integer(0, 65535), 'HTTP port of the API, /docs and the dashboard; 0 takes a free one'),
  HOST: required('127.0.0.1', text, 'address to listen on; 0.0.0.0 inside a container'),
  GATEHOUSE_ROLE: required(
    'all',
    oneOf(['api', 'worker', 'all']),
    'what this process does: answer requests, run queues, or both',
  ),
  DATA_DIR: required('.gatehouse', text, 'the one folder for embedded servers, caches and development keys'),

  DATABASE_URL: optional(
    url('postgres:', 'postgresql:'),
    'Postgres as the runtime role, which owns nothing and cannot bypass row-level security; unset: embedded',
  ),
  DATABASE_SYSTEM_URL: optional(
    url('postgres:', 'postgresql:'),
    'Postgres as the role for cross-tenant work (relay, schedulers); needed with DATABASE_URL',
  ),
  DATABASE_ADMIN_URL: optional(
    url('postgres:', 'postgresql:'),
    'Postgres as the owner of the tables; set it to run migrations at start, leave it unset where a deployment step runs them',
  ),
  DATABASE_POOL_SIZE: required('20', integer(1, 500), 'connections of this process as the runtime role'),
  DATABASE_POOL_CRITICAL: required(
    '14',
    integer(0, 499),
    'connections of the pool that only the critical class may take; the rest is what others may keep the database busy with',
  ),
  DATABASE_PREPARED_STATEMENTS: required(
    'on',
    flag,
    'off behind a pooler in transaction mode, unless it tracks them (PgBouncer 1.21) and their names may be guessed (decision 5)',
  ),

  REDIS_URL: optional(url('redis:', 'rediss:'), 'Redis 7 or later; unset: embedded'),
  REDIS_SERVER_BIN: optional(text, 'redis-server or valkey-server to embed instead of the one found'),
  REDIS_DEADLINE_MS: required(
    '20',
    integer(1, 10_000),
    'how long a request waits for Redis before limits are decided locally',
  ),

  AUTH_ISSUER: optional(
    url('http:', 'https:'),
    'OIDC issuer whose tokens are accepted; unset: the development issuer, refused in production',
  ),
  DEV_ISSUER_ANYWHERE: required(
    'off',
    flag,
    'on serves the development issuer on an address that other machines reach, where something else keeps them away: it gives a token of any role to anyone',
  ),
  AUTH_AUDIENCE: required('gatehouse', text, 'the `aud` that a token must carry'),
  AUTH_MAX_TOKEN_LIFETIME_SECONDS: required(
    '86400',
    integer(60, 31_536_000),
    'longest `exp - iat` accepted: a revocation is remembered for as long',
  ),
  AUTH_CACHE_ENTRIES: required('50000', integer(100, 5_000_000), 'identities kept in the memory of a process'),

  PHI_KEYS: optional(
    fieldKeys,
    'keys that encrypt fields such as ssn, `<id>:<base64 of 32 bytes>`, comma-separated: the first encrypts, all decrypt; unset: a key file in DATA_DIR, refused in production',
  ),

  THROTTLE_MODE: required(
    'enforce',
    oneOf(['enforce', 'shadow']),
    'shadow counts and reports what the rate limits would refuse, and serves it',
  ),

  TRUST_PROXY_HOPS: required('0', integer(0, 10), 'proxies in front whose X-Forwarded-For is believed'),
  FIREWALL_IP_PER_SECOND: required(
    '200',
    integer(1, 1_000_000),
    'requests a second of one address (IPv6: one /64) to one process, before authentication',
  ),
  FIREWALL_IP_BURST: required('400', integer(1, 1_000_000), 'requests of one address at once'),
  FIREWALL_MAX_URL_BYTES: required('8192', integer(256, 65_536), 'longest request target'),
  FIREWALL_MAX_HEADER_BYTES: required('16384', integer(1024, 131_072), 'all headers of a request together'),
  FIREWALL_MAX_BODY_BYTES: required(
    '102400',
    integer(1024, 104_857_600),
    'largest body where the route says nothing else',
  ),
  FIREWALL_REQUEST_TIMEOUT_MS: required(
    '15000',
    integer(100, 600_000),
    'a request whose headers and body are not here by then is ended',
  ),
  CORS_ORIGINS: required('', origins, 'origins allowed from the start, comma-separated and exact'),

  CONCURRENCY_TOTAL: required('1000', integer(1, 100_000), 'requests in work at once in a process'),
  CONCURRENCY_CRITICAL: required('300', integer(0, 100_000), 'of these, slots that only the critical class may take'),
  CONCURRENCY_BULK: required('100', integer(1, 100_000), 'the most that the bulk class may hold at once'),
  DEADLINE_MS: required('29000', integer(50, 29_000), 'when a request is ended with 504'),

  AUDIT_ANCHOR_FILE: optional(
    text,
    'where workers write down the heads of the audit log; put it on a volume that the database’s administrators cannot write; unset: audit-anchors.ndjson in DATA_DIR',
  ),
  AUDIT_ANCHOR_SECONDS: required('60', integer(1, 3600), 'how often: what was appended since can be cut off unseen'),

  SHUTDOWN_DRAIN_MS: required(
    '500',
    integer(0, 60_000),
    'after SIGTERM, how long clients are asked to come back on another connection before the port closes',
  ),

  SMTP_URL: optional(
    url('smtp:', 'smtps:'),
    'server that takes mails, with name and password in it where it wants them; smtps: for TLS from the start, smtp: for STARTTLS where it is offered; unset: no mail is sent',
  ),
  MAIL_FROM: optional(text, 'sender of mails, such as gatehouse@example.com; needed with SMTP_URL'),
  SECURITY_EMAIL: optional(
    text,
    'who is told of each attempt to reach another practice’s data, within seconds; needs SMTP_URL',
  ),
  SECURITY_WEBHOOK_URL: optional(
    url('http:', 'https:'),
    'where the same is posted in the format of PagerDuty’s Events API v2 (https://events.pagerduty.com/v2/enqueue)',
  ),
  SECURITY_WEBHOOK_KEY: optional(text, 'routing key of that service; needed with SECURITY_WEBHOOK_URL'),

  SMS_URL: required(
    'http://127.0.0.1:4010/sms',
    url('http:', 'https:'),
    'SMS provider; the default is the local stand-in',
  ),
  CRM_URL: required(
    'http://127.0.0.1:4010/crm',
    url('http:', 'https:'),
    'CRM (HubSpot’s API shape); the default is the local stand-in',
  ),
  CRM_TOKEN: required('development', text, 'private-app token for the CRM'),
  SMS_TOKEN: required('development', text, 'token for the SMS provider'),
  WORKER_CONCURRENCY: required(
    String(Math.max(4, availableParallelism() * 2)),
    integer(1, 1000),
    'jobs of one queue that a worker runs at once',
  ),

  LOG_LEVEL: required(
    'info',
    oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'least severe line that is written',
  ),
  LOG_FORMAT: required('json', oneOf(['json', 'pretty']), 'json for machines, pretty for people'),
} as const satisfies Record<string, Variable<unknown>>;

type Variables = typeof variables;
export type Settings = {
  readonly [Name in keyof Variables]:
    ReturnType<Variables[Name]['parse']> | (Variables[Name] extends { fallback: string } ? never : undefined);
};
