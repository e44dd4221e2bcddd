import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Config, ConfigurationError } from './config';
import { envExample } from './env-example';

const production = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://app@db/gatehouse',
  DATABASE_SYSTEM_URL: 'postgres://system@db/gatehouse',
  REDIS_URL: 'redis://cache',
  AUTH_ISSUER: 'https://login.example',
  CRM_TOKEN: 'a',
  SMS_TOKEN: 'b',
};

function complaintsOf(environment: Record<string, string>): readonly string[] {
  try {
    Config.from(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.complaints;
    throw error;
  }
}

describe('Config', () => {
  it('starts from defaults alone in development', () => {
    const config = Config.from({});
    expect(config.get('PORT')).toBe(3000);
    expect(config.get('DATABASE_URL')).toBeUndefined();
  });

  it('takes an empty variable for an unset one', () => {
    expect(Config.from({ PORT: '' }).get('PORT')).toBe(3000);
  });

  it('keeps an explicit 0', () => {
    expect(Config.from({ PORT: '0' }).get('PORT')).toBe(0);
  });

  it('says everything that is wrong at once', () => {
    const complaints = complaintsOf({
      PORT: '99999',
      NODE_ENV: 'prod',
      REDIS_URL: 'http://x',
      CORS_ORIGINS: 'https://a/b',
    });
    expect(complaints).toHaveLength(4);
    expect(complaints.join()).toMatch(/PORT.*NODE_ENV|NODE_ENV.*PORT/s);
  });

  it.each(['DATABASE_URL', 'DATABASE_SYSTEM_URL', 'REDIS_URL', 'AUTH_ISSUER', 'CRM_TOKEN', 'SMS_TOKEN'])(
    'refuses production without %s',
    (name) => {
      expect(complaintsOf(production)).toEqual([]);
      expect(complaintsOf({ ...production, [name]: '' }).join()).toContain(name);
    },
  );

  it('refuses an issuer over plain http in production', () => {
    expect(complaintsOf({ ...production, AUTH_ISSUER: 'http://login.example' })).toHaveLength(1);
  });

  it.each(['0.0.0.0', '::', '192.0.2.7', 'gate.example', '127.0.0.1.example', 'localhost.example'])(
    'refuses to serve the development issuer on %s, unless that is allowed',
    (HOST) => {
      const complaints = complaintsOf({ HOST, PORT: 'x' });
      expect(complaints).toHaveLength(2);
      expect(complaints.join()).toContain('DEV_ISSUER_ANYWHERE');
      expect(complaintsOf({ HOST, DEV_ISSUER_ANYWHERE: 'on' })).toEqual([]);
      expect(complaintsOf({ HOST, AUTH_ISSUER: 'https://login.example' })).toEqual([]);
      expect(complaintsOf({ HOST, GATEHOUSE_ROLE: 'worker' })).toEqual([]);
      expect(complaintsOf({ ...production, HOST })).toEqual([]);
    },
  );

  it.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1'])('serves the development issuer on %s', (HOST) => {
    expect(complaintsOf({ HOST })).toEqual([]);
  });

  it('refuses a pool that the critical class would own whole', () => {
    expect(complaintsOf({ DATABASE_POOL_SIZE: '6' }).join()).toContain('DATABASE_POOL_CRITICAL');
  });

  it('never repeats a secret in a complaint', () => {
    expect(complaintsOf({ DATABASE_URL: 'mysql://user:hunter2@db' }).join()).not.toContain('hunter2');
  });

  it('prints .env.example as it lies in the repository', () => {
    expect(readFileSync(join(__dirname, '../../../.env.example'), 'utf8')).toBe(envExample());
  });
});
