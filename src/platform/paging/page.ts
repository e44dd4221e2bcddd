import { createHash } from 'node:crypto';

/** Attempts that are named one by one; of more, the page says how many and where all of them stand. */
export const mostNamed = 10;

/** One attempt as the audit log has it: identifiers and codes. */
export interface Attempt {
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly route: string | null;
  readonly subjects: readonly string[];
  readonly subjectPractice: string | null;
  readonly correlationId: string | null;
}

/** What one user tried of other practices, from the first attempt that nobody was told of to the last. */
export interface Page {
  /** Whose chain the attempts stand in: the user's practice, or `platform`. */
  readonly chain: string;
  readonly actor: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** All of them, also those that are not named. */
  readonly attempts: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  /** The first ones. */
  readonly named: readonly Attempt[];
}

/** Names a page for whoever may get it twice: the same at every repetition and over each channel. */
export function dedupKey({ chain, actor, firstSeq }: Pick<Page, 'chain' | 'actor' | 'firstSeq'>): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([chain, actor, firstSeq]))
    .digest('hex');
  return `gatehouse-cross-practice-${digest.slice(0, 32)}`;
}

/** One line; identifiers alone, of a known length. */
export function summaryOf({ attempts, actor, chain }: Page): string {
  const tried = attempts === 1 ? 'tried once' : `tried ${attempts} times`;
  return `Cross-practice access: ${actor} of ${chain} ${tried} to reach what is another practice's`;
}

/** PagerDuty's Events API v2 (developer.pagerduty.com, Send an alert event). */
export function pagerDutyEvent(page: Page, routingKey: string): Record<string, unknown> {
  const { chain, actor, attempts, firstAt, lastAt, firstSeq, lastSeq, named } = page;
  return {
    routing_key: routingKey,
    event_action: 'trigger',
    dedup_key: dedupKey(page),
    payload: {
      summary: summaryOf(page),
      source: 'gatehouse',
      severity: 'critical',
      timestamp: firstAt.toISOString(),
      component: 'tenancy',
      group: chain,
      class: 'cross_practice_access',
      custom_details: {
        practice: chain,
        actor,
        attempts,
        first_at: firstAt.toISOString(),
        last_at: lastAt.toISOString(),
        audit_entries: `${firstSeq}-${lastSeq}`,
        named_attempts: named,
      },
    },
  };
}

/** The same for people. */
export function mailText(page: Page): string {
  const { chain, actor, attempts, firstAt, lastAt, firstSeq, lastSeq, named } = page;
  const lines = named.map(({ at, route, subjects, subjectPractice, correlationId }) =>
    [at, route, subjects.join(' '), `of ${subjectPractice ?? 'unknown'}`, `correlation id ${correlationId ?? 'none'}`]
      .filter((part) => part !== null)
      .join('  '),
  );
  if (attempts > named.length) lines.push(`and ${attempts - named.length} more`);
  return [
    `${summaryOf(page)}.`,
    '',
    `Practice: ${chain}`,
    `User: ${actor}`,
    `Attempts: ${attempts}, each refused with 403`,
    `From ${firstAt.toISOString()} to ${lastAt.toISOString()}`,
    `Audit log: entries ${firstSeq} to ${lastSeq} of ${chain}, code cross_practice`,
    '',
    ...lines,
    '',
    'What to do: docs/operations.md, cross-practice-access.',
    '',
  ].join('\n');
}
