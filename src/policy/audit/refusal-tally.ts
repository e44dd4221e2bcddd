import { type AuditTrail, platformChain } from '../../platform/audit';
import { addressKey } from '../firewall/addresses';

const everyMs = 1_000;
/** Entries a second at most; what comes from further addresses is counted together, so that no flood fills the disk. */
const mostEntries = 200;

interface Counted {
  readonly address: string | null;
  readonly code: string;
  readonly route: string | null;
  count: number;
}

/** Counts the refusals of unknown callers and writes each second what was counted, by address, code and route. */
export class RefusalTally {
  private counted = new Map<string, Counted>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly trail: AuditTrail) {}

  count(ip: string, code: string, route: string | undefined): void {
    const address = addressKey(ip);
    if (!this.add(address, code, route ?? null)) this.add(null, code, null);
    this.timer ??= setTimeout(() => this.write(), everyMs).unref();
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.write();
    await this.writing;
  }

  /** False where that would be one entry too many; those without an address are as few as there are codes. */
  private add(address: string | null, code: string, route: string | null): boolean {
    const key = JSON.stringify([address, code, route]);
    const known = this.counted.get(key);
    if (known) known.count += 1;
    else if (address !== null && this.counted.size >= mostEntries) return false;
    else this.counted.set(key, { address, code, route, count: 1 });
    return true;
  }

  private write(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const counted = [...this.counted.values()];
    this.counted = new Map();
    const entries = counted.map(({ address, code, route, count }) =>
      this.trail.offer(
        {
          practice: platformChain,
          actor: null,
          clientId: null,
          role: null,
          action: 'request',
          outcome: 'refused',
          code,
          route,
          subjects: [],
          subjectPractice: null,
          detail: { count },
          correlationId: null,
          requestId: null,
          ip: address,
        },
        { weight: count },
      ),
    );
    this.writing = Promise.all([this.writing, ...entries]).then(() => undefined);
  }
}
