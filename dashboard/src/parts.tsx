import { type ReactNode, useEffect, useId, useRef } from 'react';
import type { ApiProblem } from './api';
import type { Action, List } from './requests';

interface SheetProps {
  readonly title: string;
  readonly intro?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** One page: its title is the document's, and takes the focus, so that a screen reader says where one is. */
export function Sheet({ title, intro, actions, children }: SheetProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <>
      <title>{`${title} · Gatehouse`}</title>
      <header className="sheet-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {intro !== undefined && <p className="intro">{intro}</p>}
        </div>
        {actions}
      </header>
      {children}
    </>
  );
}

/** What the API said, and the id to find it in the logs by. */
export function ProblemNote({ problem }: { readonly problem: ApiProblem }) {
  return (
    <div className="note bad" role="alert">
      <p>{problem.message}</p>
      {problem.errors.length > 0 && (
        <ul>
          {problem.errors.map(({ path, message }) => (
            <li key={path + message}>
              <code>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      {problem.correlationId !== undefined && (
        <p className="small">
          Correlation id <code>{problem.correlationId}</code>
        </p>
      )}
    </div>
  );
}

/** How an action went. The place for it is always there: a screen reader speaks what appears in it. */
export function Outcome({ action }: { readonly action: Action }) {
  return (
    <>
      {action.problem && <ProblemNote problem={action.problem} />}
      <div role="status">{action.done !== undefined && <p className="note good">{action.done}</p>}</div>
    </>
  );
}

export function Moment({ at }: { readonly at: string }) {
  const text = new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  return (
    <time dateTime={at} title={at}>
      {text}
    </time>
  );
}

/** A name for people, and below it the one for machines. */
export function Twofold({ first, second }: { readonly first: string; readonly second: string }) {
  return (
    <div>
      {first}
      <div className="small">
        <code>{second}</code>
      </div>
    </div>
  );
}

interface FieldProps {
  readonly label: string;
  readonly hint?: string;
  readonly children: (ids: { id: string; 'aria-describedby'?: string }) => ReactNode;
}

export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  const hintId = `${id}-hint`;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, ...(hint !== undefined && { 'aria-describedby': hintId }) })}
      {hint !== undefined && (
        <p className="small" id={hintId}>
          {hint}
        </p>
      )}
    </div>
  );
}

export interface Column<Item> {
  readonly name: string;
  readonly cell: (item: Item) => ReactNode;
}

interface ListTableProps<Item> {
  readonly caption: string;
  /** Without `hasMore` and `more`, all there is. */
  readonly list: Pick<List<Item>, 'items' | 'problem' | 'loading'> & Partial<Pick<List<Item>, 'hasMore' | 'more'>>;
  readonly columns: readonly Column<Item>[];
  readonly keyOf: (item: Item) => string;
  readonly empty: string;
}

/** A list of the API as a table, with its own waiting, failing, being empty, and going on. */
export function ListTable<Item>({ caption, list, columns, keyOf, empty }: ListTableProps<Item>) {
  const { items, problem, loading, hasMore, more } = list;
  return (
    <section className="card" aria-busy={loading}>
      {problem && <ProblemNote problem={problem} />}
      {!items && !problem && <p className="quiet">Loading…</p>}
      {items?.length === 0 && <p className="quiet">{empty}</p>}
      {items && items.length > 0 && (
        <table>
          <caption className="unseen">{caption}</caption>
          <thead>
            <tr>
              {columns.map(({ name }) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={keyOf(item)}>
                {columns.map(({ name, cell }) => (
                  <td key={name} data-label={name}>
                    {cell(item)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {hasMore && (
        <button type="button" disabled={loading} onClick={more}>
          Show more
        </button>
      )}
    </section>
  );
}
