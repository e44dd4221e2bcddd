// Makes .env for docker-compose.yml: a random password for every login that it asks for. What is there stays.
import { randomBytes } from 'node:crypto';
import { appendFile, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const file = join(root, '.env');

const compose = await readFile(join(root, 'docker-compose.yml'), 'utf8');
const present = await readFile(file, 'utf8').catch((error) => {
  if (error.code === 'ENOENT') return '';
  throw error;
});
const asked = new Set([...compose.matchAll(/\$\{([A-Z_]+_PASSWORD):\?/g)].map(([, name]) => name));
const missing = [...asked].filter((name) => !new RegExp(`^${name}=.`, 'm').test(present));
const lines = missing.map((name) => `${name}=${randomBytes(24).toString('hex')}\n`);
const separator = present === '' || present.endsWith('\n') ? '' : '\n';
if (lines.length > 0) await appendFile(file, separator + lines.join(''), { mode: 0o600 });
process.stdout.write(missing.length > 0 ? `.env now has ${missing.join(', ')}\n` : '.env has them all\n');
