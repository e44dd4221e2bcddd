import { Injectable, type LoggerService } from '@nestjs/common';
import { pino, type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { Config } from '../config';
import { Context } from '../context';
import { LineBlocks } from './line-blocks';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Structured lines on standard output, each with the correlation id of the work that wrote it.
 * A line never holds PHI, tokens, secrets or bodies: fields are named by whoever writes, nothing is dumped whole.
 */
@Injectable()
export class Log implements LoggerService {
  private readonly logger: Logger;
  private readonly accessLogger: Logger;
  private readonly stream: DestinationStream;

  constructor(config: Config, destination?: DestinationStream) {
    const context = new Context();
    const options = {
      level: config.get('LOG_LEVEL'),
      base: { role: config.get('GATEHOUSE_ROLE'), pid: process.pid },
      serializers: { err: withoutValues },
      redact: ['authorization', 'cookie', 'token', '*.authorization', '*.cookie', '*.token'],
      mixin: () => {
        const { current } = context;
        return current ? { correlationId: current.correlationId, requestId: current.requestId } : {};
      },
    };
    this.stream = destination ?? destinationOf(config.get('LOG_FORMAT'));
    this.logger = pino(options, this.stream);
    this.accessLogger = pino({ ...options, mixin: undefined, redact: undefined }, this.stream);
  }

  info(fields: Fields, message: string): void {
    this.logger.info(fields, message);
  }

  /** The access log's line; it brings its own ids, since the context may be gone by then. */
  access(fields: Fields): void {
    this.accessLogger.info(fields, 'request');
  }

  warn(fields: Fields | string, message?: string): void {
    this.write('warn', fields, message);
  }

  error(fields: Fields | string, message?: string): void {
    this.write('error', fields, message);
  }

  debug(fields: Fields | string, message?: string): void {
    this.write('debug', fields, message);
  }

  /** Nest's own lines: start, routes, warnings. */
  log(message: string, origin?: string): void {
    this.logger.debug({ origin }, message);
  }

  fatal(message: string, origin?: string): void {
    this.logger.fatal({ origin }, message);
  }

  /** Writes what is still in memory, before the process ends. */
  close(): void {
    (this.stream as DestinationStream & { flushSync?: () => void }).flushSync?.();
  }

  private write(level: 'warn' | 'error' | 'debug', fields: Fields | string, message: string | undefined): void {
    if (typeof fields === 'string') this.logger[level]({ origin: message }, fields);
    else this.logger[level](fields, message ?? '');
  }
}

/**
 * An error without what it was about: Postgres repeats whole rows in `detail` and `where`, and those may be PHI.
 * `message` and `stack` of a driver's error name columns and constraints, never values of a row.
 */
export function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack, cause } = error;
  const { code, constraint, table } = error as Error & { code?: unknown; constraint?: unknown; table?: unknown };
  const told = { type: name, message, code, constraint, table, stack };
  return cause === undefined ? told : { ...told, cause: withoutValues(cause) };
}

/** There is one of it, however many logs a process has. */
let standardOutput: LineBlocks | undefined;

function destinationOf(format: 'json' | 'pretty'): DestinationStream {
  if (format === 'json') return (standardOutput ??= new LineBlocks());
  return pretty({ destination: 1, ignore: 'pid,role,requestId', singleLine: true, translateTime: 'HH:MM:ss.l' });
}
