/** What became of what was asked for. */
export const auditOutcomes = ['allowed', 'refused', 'failed'] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

/** Whatever is of no practice: an unknown caller's refusals, an operator's changes. No practice may have this name. */
export const platformChain = 'platform';

/** The code of an attempt to reach what is another practice's: each is paged for, and an index finds them. */
export const crossPracticeCode = 'cross_practice';

/** Numbers, codes and names of fields; never a value that somebody typed. */
export type AuditDetail = Readonly<Record<string, string | number | boolean>>;

/** What is said of one act. Identifiers and names of fields: never PHI, a token or a secret. */
export interface AuditEntry {
  /** Whose chain it stands in: the caller's practice, or `platformChain`. */
  readonly practice: string;
  readonly actor: string | null;
  readonly clientId: string | null;
  readonly role: string | null;
  /** `<thing>.<verb>`, such as `patient.read`. */
  readonly action: string;
  readonly outcome: AuditOutcome;
  /** Why it was refused or failed, or what is special about what was allowed (`replayed`). */
  readonly code: string | null;
  /** The route's pattern, such as `GET /patients/:id`. */
  readonly route: string | null;
  /** The identifiers of what was read, changed or asked for. */
  readonly subjects: readonly string[];
  /** Whose the subject is, where it is another practice's. */
  readonly subjectPractice: string | null;
  readonly detail: AuditDetail | null;
  readonly correlationId: string | null;
  readonly requestId: string | null;
  readonly ip: string | null;
}

const longestText = 256;
const mostSubjects = 250;

/** Control characters and halves of surrogate pairs: Postgres takes neither out of a JSON text, and one entry must not fail its batch. */
const unspeakable = /[\p{Cc}\p{Cs}]/gu;

/**
 * What an entry says, as JSON with its keys in this order, always. The database puts the head of its chain, its number, its id
 * and its time in front: chain and number stand first, so that a verifier knows by the first bytes which entry it reads.
 */
export function saidOf(entry: AuditEntry): string {
  return JSON.stringify({
    actor: spoken(entry.actor),
    clientId: spoken(entry.clientId),
    role: spoken(entry.role),
    action: spoken(entry.action),
    outcome: entry.outcome,
    code: spoken(entry.code),
    route: spoken(entry.route),
    subjects: entry.subjects.map(spoken),
    subjectPractice: spoken(entry.subjectPractice),
    detail: entry.detail && detailOf(entry.detail),
    correlationId: spoken(entry.correlationId),
    requestId: spoken(entry.requestId),
    ip: spoken(entry.ip),
  });
}

/** @throws Error for an entry that could not stand in the log: a mistake in the program, found before it fails a whole batch */
export function assertFits({ subjects, action }: AuditEntry): void {
  if (subjects.length > mostSubjects) throw new Error(`An audit entry of ${action} has over ${mostSubjects} subjects`);
}

/** The first bytes of every entry of that chain; its number follows, and a comma. */
export function bodyHead(practice: string): string {
  return `{"v":1,"practice":${JSON.stringify(spoken(practice))},"seq":`;
}

/** The text as it stands in an entry; what is searched for is said the same way. */
export function spoken<Text extends string | null>(text: Text): Text {
  return (text === null ? null : text.slice(0, longestText).replace(unspeakable, '\ufffd')) as Text;
}

function detailOf(detail: AuditDetail): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(detail).map(([name, value]) => [spoken(name), typeof value === 'string' ? spoken(value) : value]),
  );
}
