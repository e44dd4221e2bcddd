import { typeidUnboxed } from 'typeid-js';

/** A prefixed, unguessable identifier that sorts by the time it was made (TypeID over UUIDv7). */
export function newId<const Prefix extends string>(prefix: Prefix): `${Prefix}_${string}` {
  return typeidUnboxed(prefix) as unknown as `${Prefix}_${string}`;
}
