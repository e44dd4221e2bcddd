import { Injectable } from '@nestjs/common';
import { variables, type Settings } from './variables';

/** A start refused because of its environment. `complaints` holds all of them, not the first. */
export class ConfigurationError extends Error {
  constructor(readonly complaints: readonly string[]) {
    super(`The environment is refused:\n${complaints.map((complaint) => `  - ${complaint}`).join('\n')}`);
  }
}

/** The settings of this process, read once from the environment. The only home of `process.env`. */
@Injectable()
export class Config {
  private constructor(readonly settings: Settings) {}

  /**
   * Reads and checks every variable, then the combinations.
   * @throws ConfigurationError with every complaint at once.
   */
  static from(environment: Readonly<Record<string, string | undefined>>): Config {
    const complaints: string[] = [];
    const settings: Record<string, unknown> = {};
    for (const [name, variable] of Object.entries(variables)) {
      const given = environment[name];
      const text = given === undefined || given === '' ? variable.fallback : given;
      if (text === undefined) continue;
      try {
        settings[name] = variable.parse(text);
      } catch (error) {
        complaints.push(`${name} ${(error as Error).message}`);
      }
    }
    complaints.push(...combinations(settings));
    if (complaints.length > 0) throw new ConfigurationError(complaints);
    return new Config(Object.freeze(settings) as unknown as Settings);
  }

  get<Name extends keyof Settings>(name: Name): Settings[Name] {
    return this.settings[name];
  }

  get isProduction(): boolean {
    return this.settings.NODE_ENV === 'production';
  }

  get servesApi(): boolean {
    return this.settings.GATEHOUSE_ROLE !== 'worker';
  }

  get runsQueues(): boolean {
    return this.settings.GATEHOUSE_ROLE !== 'api';
  }

  /** The same settings with some replaced; used once the embedded servers know their addresses. */
  with(changes: Partial<Settings>): Config {
    return new Config(Object.freeze({ ...this.settings, ...changes }));
  }
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i;

/** A worker answers nobody but its orchestrator, and production loads no development issuer. */
function servesDevIssuerAnywhere({ NODE_ENV, AUTH_ISSUER, GATEHOUSE_ROLE, HOST }: Partial<Settings>): boolean {
  const servesDevIssuer = NODE_ENV !== 'production' && AUTH_ISSUER === undefined && GATEHOUSE_ROLE !== 'worker';
  return servesDevIssuer && HOST !== undefined && !loopback.test(HOST);
}

/** What no variable can know alone. */
function combinations(settings: Partial<Settings>): string[] {
  const complaints: string[] = [];
  if (settings.NODE_ENV === 'production') {
    for (const name of ['DATABASE_URL', 'DATABASE_SYSTEM_URL', 'REDIS_URL'] as const) {
      if (settings[name] === undefined)
        complaints.push(`${name} must be set in production: embedded servers are for development`);
    }
    if (settings.AUTH_ISSUER === undefined)
      complaints.push('AUTH_ISSUER must be set in production: the development issuer gives a token to anyone');
    if (settings.PHI_KEYS === undefined)
      complaints.push('PHI_KEYS must be set in production: the key file is for development');
    if (settings.AUTH_ISSUER?.startsWith('http:')) complaints.push('AUTH_ISSUER must use https in production');
    for (const name of ['CRM_TOKEN', 'SMS_TOKEN'] as const) {
      if (settings[name] === 'development') complaints.push(`${name} must be set in production`);
    }
  }
  if (servesDevIssuerAnywhere(settings) && !settings.DEV_ISSUER_ANYWHERE) {
    complaints.push(
      `HOST ${settings.HOST} would let other machines ask the development issuer for a token of any role: set AUTH_ISSUER, or DEV_ISSUER_ANYWHERE=on where something else keeps them away`,
    );
  }
  if (
    settings.NODE_ENV !== 'production' &&
    settings.DATABASE_URL !== undefined &&
    settings.DATABASE_SYSTEM_URL === undefined
  ) {
    complaints.push('DATABASE_SYSTEM_URL must be set with DATABASE_URL: cross-tenant work has a role of its own');
  }
  if (settings.DATABASE_URL === undefined && settings.DATABASE_ADMIN_URL !== undefined) {
    complaints.push('DATABASE_ADMIN_URL is set without DATABASE_URL: the embedded Postgres brings its own owner');
  }
  for (const [name, needed] of [
    ['SMTP_URL', 'MAIL_FROM'],
    ['SECURITY_WEBHOOK_URL', 'SECURITY_WEBHOOK_KEY'],
  ] as const) {
    if (settings[name] !== undefined && settings[needed] === undefined)
      complaints.push(`${needed} must be set with ${name}`);
  }
  if ((settings.DATABASE_POOL_CRITICAL ?? 0) >= (settings.DATABASE_POOL_SIZE ?? Infinity)) {
    complaints.push('DATABASE_POOL_CRITICAL must be below DATABASE_POOL_SIZE: other classes need a connection, too');
  }
  if ((settings.CONCURRENCY_CRITICAL ?? 0) >= (settings.CONCURRENCY_TOTAL ?? Infinity)) {
    complaints.push('CONCURRENCY_CRITICAL must be below CONCURRENCY_TOTAL: other classes need a slot, too');
  }
  return complaints;
}
