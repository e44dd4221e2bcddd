import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from '../support/places';
import { until } from '../support/until';

type Mode = 'ok' | 'down' | 'slow' | 'mute' | 'late' | 'reject' | 'limited';

interface Names {
  readonly correlationId?: string;
  readonly traceparent?: string;
  readonly idempotencyKey?: string;
}

export interface Sent {
  readonly sms: { readonly to: string; readonly body: string; readonly key: string; readonly repeated: number }[];
  readonly crm: { readonly uniqueId: string; readonly properties: Record<string, string>; readonly writes: string[] }[];
  /** Requests that came, answered or not. */
  readonly seen: { readonly sms: number; readonly crm: number };
  /** The names under which each service's last request came. */
  readonly headers: Record<'sms' | 'crm', Names>;
}

/** The stand-in for the SMS provider and the CRM, as a process of its own. */
export class Outside {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(): Promise<Outside> {
    const child = spawn(process.execPath, [join(root, 'tools/outside/outside.mjs')], {
      env: { PATH: process.env.PATH, OUTSIDE_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await until(() => output.includes('\n'));
    return new Outside(child, /http:\S+/.exec(output)?.[0] ?? '');
  }

  /** The variables by which the application finds it. */
  get environment(): Record<string, string> {
    return { SMS_URL: `${this.url}/sms`, CRM_URL: `${this.url}/crm` };
  }

  async sent(): Promise<Sent> {
    return (await (await fetch(`${this.url}/_sent`)).json()) as Sent;
  }

  async mode(modes: { sms?: Mode; crm?: Mode }): Promise<void> {
    await fetch(`${this.url}/_mode`, { method: 'POST', body: JSON.stringify(modes) });
  }

  async reset(): Promise<void> {
    await fetch(`${this.url}/_reset`, { method: 'POST' });
  }

  async end(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}
