import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
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
  PHI_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
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

  it.each(['DATABASE_URL', 'DATABASE_SYSTEM_URL', 'REDIS_URL', 'AUTH_ISSUER', 'CRM_TOKEN', 'SMS_TOKEN', 'PHI_KEYS'])(
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

  it('reads keys in their order, and prints nothing of them', () => {
    const text = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;
    const keys = Config.from({ PHI_KEYS: `${text('k2', 2)}, ${text('k1', 1)}` }).get('PHI_KEYS');
    expect(keys?.map(({ id }) => id)).toEqual(['k2', 'k1']);
    expect(keys?.[0]?.key.export()).toEqual(Buffer.alloc(32, 2));
    expect(inspect(keys, { depth: 9, showHidden: true }) + JSON.stringify(keys)).not.toContain('AgICAg');
  });

  it.each([
    ['short', `k1:${Buffer.alloc(31, 7).toString('base64')}`],
    ['long', `k1:${Buffer.alloc(33, 7).toString('base64')}`],
    ['nameless', Buffer.alloc(32, 7).toString('base64')],
    ['named with a colon', `k:1:${Buffer.alloc(32, 7).toString('base64')}`],
    ['twice of one name', `k1:${Buffer.alloc(32, 7).toString('base64')},k1:${Buffer.alloc(32, 8).toString('base64')}`],
    ['followed by nothing', `k1:${Buffer.alloc(32, 7).toString('base64')},`],
  ])('refuses a key that is %s, without repeating it', (_, PHI_KEYS) => {
    const complaints = complaintsOf({ PHI_KEYS }).join();
    expect(complaints).toMatch(/^PHI_KEYS /);
    expect(complaints).not.toContain('BwcH');
  });

  it('prints .env.example as it lies in the repository', () => {
    expect(readFileSync(join(__dirname, '../../../.env.example'), 'utf8')).toBe(envExample());
  });
});
