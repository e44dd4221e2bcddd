import { typeidUnboxed } from 'typeid-js';

/** A prefix, and behind it a digit at least: those that are made here begin with one, and names have none. */
const identifier = /^[a-z]{2,8}_(?=\w*\d)\w{1,56}$/;

/** Whether a text has the form of an identifier of ours: what else a client writes may be anything, a name for example. */
export function isIdentifier(text: unknown): text is string {
  return typeof text === 'string' && identifier.test(text);
}

/** A prefixed, unguessable identifier that sorts by the time it was made (TypeID over UUIDv7). */
export function newId<const Prefix extends string>(prefix: Prefix): `${Prefix}_${string}` {
  return typeidUnboxed(prefix) as unknown as `${Prefix}_${string}`;
}
