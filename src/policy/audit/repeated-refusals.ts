import { type AuditEntry, type AuditTrail, crossPracticeCode } from '../../platform/audit';

const everyMs = 1_000;
/** Entries of the same refusal a second, each by itself and durable before it is sent; what goes beyond is counted. */
const mostAlone = 10;
/** Different refusals a second that are told apart; beyond, each has an entry of its own. */
const mostKinds = 10_000;

/** Subjects that one entry of several refusals names. */
const mostSubjects = 200;

interface Repeated {
  readonly entry: AuditEntry;
  alone: number;
  counted: number;
  /** Of those that were counted. */
  readonly subjects: Set<string>;
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
      if (this.kinds.size < mostKinds) this.kinds.set(kind, { entry, alone: 1, counted: 0, subjects: new Set() });
      this.timer ??= setTimeout(() => this.write(), everyMs).unref();
      return false;
    }
    if (known.alone < mostAlone) {
      known.alone += 1;
      return false;
    }
    known.counted += 1;
    for (const subject of entry.subjects) known.subjects.add(subject);
    if (known.subjects.size >= mostSubjects) this.tell(known);
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
    for (const repeated of this.kinds.values()) if (repeated.counted > 0) this.tell(repeated);
    this.kinds = new Map();
  }

  /** One entry of those that were counted, of each subject that they named. */
  private tell(repeated: Repeated): void {
    const { entry, counted: count } = repeated;
    const subjects = [...repeated.subjects];
    const isUrgent = entry.code === crossPracticeCode;
    const told = this.trail.offer(
      { ...entry, subjects, detail: { ...entry.detail, count }, correlationId: null, requestId: null },
      { weight: count, urgent: isUrgent },
    );
    repeated.counted = 0;
    repeated.subjects.clear();
    this.writing = Promise.all([this.writing, told]).then(() => undefined);
  }
}
