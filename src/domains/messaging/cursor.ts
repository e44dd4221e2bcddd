import { keysOf } from '../../policy';

/**
 * The sort key that a cursor holds; none for the first page, which the empty text is, too.
 * @throws PolicyRefusal 400 for anything that no list gave
 */
export function cursorKeys(cursor: string | undefined): string[] {
  return cursor === undefined || cursor === '' ? [] : keysOf(cursor, 1);
}
