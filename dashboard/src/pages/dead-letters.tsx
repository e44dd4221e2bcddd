import type { DeadLetter } from '../api';
import { type Column, ListTable, Moment, Outcome, Sheet, Twofold } from '../parts';
import { useAction, useList } from '../requests';
import { useSession } from '../session';

export function DeadLetters() {
  const { api } = useSession();
  const list = useList<DeadLetter>('/dead-letters');
  const action = useAction();

  const retry = ({ id, consumer, eventType }: DeadLetter) =>
    action.run(async () => {
      await api.post(`/dead-letters/${encodeURIComponent(id)}/retry`);
      list.change((items) => items.filter((item) => item.id !== id));
      return `${eventType} is on its way to ${consumer} again`;
    });

  const columns: readonly Column<DeadLetter>[] = [
    { name: 'Event', cell: ({ eventType, eventId }) => <Twofold first={eventType} second={eventId} /> },
    { name: 'Consumer', cell: ({ consumer }) => consumer },
    { name: 'Tenant', cell: ({ tenantId }) => tenantId },
    { name: 'Attempts', cell: ({ attempts }) => attempts },
    {
      name: 'Last error, correlation id',
      cell: ({ lastErrorClass, correlationId }) => <Twofold first={lastErrorClass} second={correlationId} />,
    },
    { name: 'Given up', cell: ({ diedAt }) => <Moment at={diedAt} /> },
    {
      name: 'Action',
      cell: (letter) => (
        <button
          type="button"
          disabled={action.busy}
          aria-label={`Retry ${letter.eventType} to ${letter.consumer}, ${letter.id}`}
          onClick={() => retry(letter)}
        >
          Retry
        </button>
      ),
    },
  ];

  return (
    <Sheet
      title="Dead letters"
      intro="Events that a consumer could not take in all its attempts. A retry starts its schedule again."
      actions={
        <button type="button" disabled={list.loading} onClick={list.reload}>
          Refresh
        </button>
      }
    >
      <Outcome action={action} />
      <ListTable
        caption="Dead letters"
        list={list}
        columns={columns}
        keyOf={({ id }) => id}
        empty="No dead letters: every consumer took every event."
      />
    </Sheet>
  );
}
