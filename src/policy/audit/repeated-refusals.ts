import type { AuditEntry, AuditTrail } from '../../platform/audit';

const everyMs = 1_000;
/** Entries of the same refusal a second, each by itself and durable before it is sent; what goes beyond is counted. */
const mostAlone = 10;
/** Different refusals a second that are told apart; beyond, each has an entry of its own. */
const mostKinds = 10_000;

interface Repeated {
  readonly entry: AuditEntry;
  alone: number;
  counted: number;
}

/**
 * Counts what a caller is refused over and over, by practice, actor, role, code, route and whose it was, and writes each second what was counted:
 * a role's refusal spends no plan, and no caller may fill the disk with it.
 */
export class RepeatedRefusals {
  private kinds = new Map<string, Repeated>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly trail: AuditTrail) {}

  /** Takes a refusal in; false where it must have an entry of its own. */
  count(entry: AuditEntry): boolean {
    const { practice, actor, role, action, code, route, subjectPractice } = entry;
    const kind = JSON.stringify([practice, actor, role, action, code, route, subjectPractice]);
    const known = this.kinds.get(kind);
    if (!known) {
      if (this.kinds.size < mostKinds) this.kinds.set(kind, { entry, alone: 1, counted: 0 });
      this.timer ??= setTimeout(() => this.write(), everyMs).unref();
      return false;
    }
    if (known.alone < mostAlone) {
      known.alone += 1;
      return false;
    }
    known.counted += 1;
    return true;
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.write();
    await this.writing;
  }

  private write(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const repeated = [...this.kinds.values()].filter(({ counted }) => counted > 0);
    this.kinds = new Map();
    const entries = repeated.map(({ entry, counted: count }) =>
      this.trail.offer(
        { ...entry, detail: { ...entry.detail, count }, correlationId: null, requestId: null },
        { weight: count },
      ),
    );
    this.writing = Promise.all([this.writing, ...entries]).then(() => undefined);
  }
}
