import { useState } from 'react';
import type { AppUsage as Usage, AppUsages } from '../api';
import { type Column, Field, ListTable, Moment, Sheet } from '../parts';
import { useResource } from '../requests';

const orders = { requests: 'Busiest first', refused: 'Most refused first' } as const;
const hours = { this: 'This hour', last: 'The last hour' } as const;

const columns: readonly Column<Usage>[] = [
  { name: 'App', cell: ({ clientId }) => <code>{clientId}</code> },
  { name: 'Requests', cell: ({ requests }) => requests.toLocaleString() },
  { name: 'Refused', cell: ({ refused }) => refused.toLocaleString() },
  { name: 'Plan', cell: ({ plan }) => plan },
];

export function AppUsage() {
  const [by, setBy] = useState<keyof typeof orders>('requests');
  const [hour, setHour] = useState<keyof typeof hours>('this');
  const { data, problem, loading, reload } = useResource<AppUsages>(`/app-usage?by=${by}&hour=${hour}`);

  return (
    <Sheet
      title="App usage"
      intro="Which apps ask most, and which were refused beyond a limit, over all nodes and tenants; counted within two seconds."
      actions={
        <button type="button" disabled={loading} onClick={reload}>
          Refresh
        </button>
      }
    >
      <div className="card row">
        <Field label="Order">
          {(ids) => (
            <select {...ids} value={by} onChange={(event) => setBy(event.target.value as keyof typeof orders)}>
              <Options of={orders} />
            </select>
          )}
        </Field>
        <Field label="Hour (UTC)">
          {(ids) => (
            <select {...ids} value={hour} onChange={(event) => setHour(event.target.value as keyof typeof hours)}>
              <Options of={hours} />
            </select>
          )}
        </Field>
        {data && (
          <p className="small">
            Since <Moment at={data.since} />
          </p>
        )}
      </div>
      <ListTable
        caption={`${orders[by]}, ${hours[hour].toLowerCase()}`}
        list={{ items: data?.data, problem, loading }}
        columns={columns}
        keyOf={({ clientId }) => clientId}
        empty={by === 'requests' ? 'No app asked for anything.' : 'No app was refused anything.'}
      />
    </Sheet>
  );
}

function Options({ of }: { readonly of: Readonly<Record<string, string>> }) {
  return Object.entries(of).map(([value, name]) => (
    <option key={value} value={value}>
      {name}
    </option>
  ));
}
