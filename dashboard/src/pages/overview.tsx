import type { Readiness } from '../api';
import { ProblemNote, Sheet } from '../parts';
import { useResource } from '../requests';
import { useSession } from '../session';

const everyMs = 10_000;
const parts = ['postgres', 'redis', 'queues'] as const;
const nameOf = { postgres: 'Postgres', redis: 'Redis', queues: 'Queues' } as const;
const wordsOf = {
  ok: 'Ready',
  degraded: 'Ready, without a part that gives speed',
  down: 'Not ready',
} as const;

export function Overview() {
  const readiness = useResource<Readiness>('/health/ready', everyMs);
  return (
    <Sheet
      title="Overview"
      intro="The node that answers this page, and who it takes you for."
      actions={
        <button type="button" disabled={readiness.loading} onClick={readiness.reload}>
          Refresh
        </button>
      }
    >
      <section className="card">
        <h2>Health</h2>
        {readiness.problem && <ProblemNote problem={readiness.problem} />}
        {!readiness.data && !readiness.problem && <p className="quiet">Loading…</p>}
        {readiness.data && <Health readiness={readiness.data} />}
      </section>
      <Identity />
    </Sheet>
  );
}

function Health({ readiness }: { readonly readiness: Readiness }) {
  return (
    <>
      <p className="headline">
        <Lamp good={readiness.status === 'ok'} /> {wordsOf[readiness.status]}
      </p>
      <dl className="tiles">
        {parts.map((part) => (
          <div key={part}>
            <dt>{nameOf[part]}</dt>
            <dd>
              <Lamp good={readiness[part] === 'up'} /> {readiness[part]}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** Decoration: the word beside it says the same. */
function Lamp({ good }: { readonly good: boolean }) {
  return <span className={good ? 'lamp good' : 'lamp bad'} aria-hidden="true" />;
}

function Identity() {
  const { me } = useSession();
  const rows: readonly (readonly [name: string, value: string | undefined])[] = [
    ['User', me.userId],
    ['App', me.clientId],
    ['Role', me.role],
    ['Practice', me.practiceId],
    ['Workspace', me.workspaceId],
    ['Account', me.accountId],
    ['Scopes', me.scopes.join(' ') || undefined],
    ['Usage plan', me.usagePlan],
    ['Content plan', me.plan],
    ['Region', me.region],
    ['Device', me.deviceId],
  ];
  return (
    <section className="card">
      <h2>You</h2>
      <dl className="facts">
        {rows
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
