import { type SubmitEvent, useState } from 'react';
import type { Revocation } from '../api';
import { type Column, Field, ListTable, Moment, Outcome, Sheet } from '../parts';
import { useAction, useList } from '../requests';
import { useSession } from '../session';

const kinds = {
  jti: { name: 'One token', claim: 'jti', says: 'the token' },
  sub: { name: 'All tokens of a user', claim: 'sub', says: 'the tokens of user' },
  clientId: { name: 'All tokens of an app', claim: 'client_id', says: 'the tokens of app' },
} as const;
type Kind = keyof typeof kinds;

const columns: readonly Column<Revocation>[] = [
  { name: 'Revoked', cell: (revocation) => kinds[kindOf(revocation)].name },
  { name: 'Name', cell: (revocation) => <code>{revocation[kindOf(revocation)]}</code> },
  { name: 'Since', cell: ({ revokedAt }) => <Moment at={revokedAt} /> },
  { name: 'Needed until', cell: ({ expiresAt }) => <Moment at={expiresAt} /> },
  { name: 'By', cell: ({ revokedBy }) => <code>{revokedBy}</code> },
];

export function Revocations() {
  const { api, me } = useSession();
  const list = useList<Revocation>('/auth/revocations');
  const action = useAction();
  const [kind, setKind] = useState<Kind>('jti');
  const [value, setValue] = useState('');
  const isOwn = (kind === 'sub' && value === me.userId) || (kind === 'clientId' && value === me.clientId);

  const revoke = (event: SubmitEvent) => {
    event.preventDefault();
    action.run(async () => {
      await api.post('/auth/revocations', { [kind]: value });
      setValue('');
      list.reload();
      return `Revoked ${kinds[kind].says} ${value}, on every node within a second`;
    });
  };

  return (
    <Sheet
      title="Revocations"
      intro="Ends tokens before their time, on every node within a second. What is issued afterwards is valid."
    >
      <form className="card row" onSubmit={revoke}>
        <Field label="Revoke">
          {(ids) => (
            <select {...ids} value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
              {Object.entries(kinds).map(([key, { name }]) => (
                <option key={key} value={key}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={`Value of the claim ${kinds[kind].claim}`}>
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={255}
              spellCheck={false}
              autoComplete="off"
              value={value}
              onChange={(event) => setValue(event.target.value)}
            />
          )}
        </Field>
        <button type="submit" className="danger" disabled={action.busy}>
          Revoke
        </button>
        {isOwn && <p className="note warn">This is your own: you will be signed out.</p>}
      </form>
      <Outcome action={action} />
      <ListTable
        caption="Revocations in force"
        list={list}
        columns={columns}
        keyOf={({ id }) => id}
        empty="No revocations in force."
      />
    </Sheet>
  );
}

function kindOf(revocation: Revocation): Kind {
  if (revocation.jti !== undefined) return 'jti';
  return revocation.sub !== undefined ? 'sub' : 'clientId';
}
