import { ConfigurationError } from './platform/config';
import { DatabaseUnavailable } from './platform/database';

/** What can be mended from outside, in a sentence; what cannot, with its stack. */
export function reasonOf(error: unknown): string {
  if (error instanceof ConfigurationError) return error.message;
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE' && port !== undefined) {
    return `port ${port} is taken: stop the other program, or start with PORT=${port + 1}`;
  }
  if (error instanceof DatabaseUnavailable && error.cause instanceof Error) {
    return `a database does not answer (${databases().join(', ') || 'the embedded Postgres'}): ${error.cause.message}`;
  }
  return `cannot go on: ${error instanceof Error ? error.stack : String(error)}`;
}

/** As `reasonOf`, of a program whose own refusals are sentences already: without a stack. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error && !(error instanceof DatabaseUnavailable) ? error.message : reasonOf(error);
}

/** Each variable of a database with its address, without who logs in. */
function databases(): string[] {
  return ['DATABASE_ADMIN_URL', 'DATABASE_URL', 'DATABASE_SYSTEM_URL'].flatMap((name) => {
    const value = process.env[name];
    if (value === undefined || !URL.canParse(value)) return [];
    const { host, pathname } = new URL(value);
    return [`${name} ${host}${pathname}`];
  });
}
