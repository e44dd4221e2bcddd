import { type SubmitEvent, useState } from 'react';
import type { AppPlan } from '../api';
import { type Column, Field, ListTable, Moment, Outcome, Sheet } from '../parts';
import { useAction, useList } from '../requests';
import { useSession } from '../session';

const plans = {
  standard: '20 a second (burst 10), 10,000 a day',
  enterprise: '200 a second (burst 100), 1,000,000 a day',
  internal: 'counted and not limited',
} as const;
type Plan = keyof typeof plans;

export function UsagePlans() {
  const { api } = useSession();
  const list = useList<AppPlan>('/usage-plans');
  const action = useAction();
  const [clientId, setClientId] = useState('');
  const [plan, setPlan] = useState<Plan>('enterprise');

  const give = (event: SubmitEvent) => {
    event.preventDefault();
    action.run(async () => {
      await api.put(`/usage-plans/${encodeURIComponent(clientId)}`, { plan });
      setClientId('');
      list.reload();
      return `${clientId} has the plan ${plan}, on every node within a second`;
    });
  };

  const columns: readonly Column<AppPlan>[] = [
    { name: 'App', cell: (app) => <code>{app.clientId}</code> },
    { name: 'Plan', cell: (app) => app.plan },
    { name: 'Since', cell: ({ changedAt }) => <Moment at={changedAt} /> },
    { name: 'By', cell: ({ changedBy }) => <code>{changedBy}</code> },
    {
      name: 'Action',
      cell: (app) => (
        <button
          type="button"
          aria-label={`Change the plan of ${app.clientId}`}
          onClick={() => {
            setClientId(app.clientId);
            if (isPlan(app.plan)) setPlan(app.plan);
          }}
        >
          Change
        </button>
      ),
    },
  ];

  return (
    <Sheet
      title="Usage plans"
      intro="What each app may use. An app that is not listed is on standard; a plan that its tokens claim goes first."
    >
      <form className="card row" onSubmit={give}>
        <Field label="App (client_id)">
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={255}
              spellCheck={false}
              autoComplete="off"
              value={clientId}
              onChange={(event) => setClientId(event.target.value)}
            />
          )}
        </Field>
        <Field label="Plan">
          {(ids) => (
            <select {...ids} value={plan} onChange={(event) => setPlan(event.target.value as Plan)}>
              {Object.entries(plans).map(([name, limits]) => (
                <option key={name} value={name}>
                  {name}: {limits}
                </option>
              ))}
            </select>
          )}
        </Field>
        <button type="submit" className="main" disabled={action.busy}>
          Give the plan
        </button>
      </form>
      <Outcome action={action} />
      <ListTable
        caption="Plans that operators gave"
        list={list}
        columns={columns}
        keyOf={(app) => app.clientId}
        empty="No app was given a plan: all are on standard, or on what their tokens claim."
      />
    </Sheet>
  );
}

function isPlan(name: string): name is Plan {
  return Object.hasOwn(plans, name);
}
