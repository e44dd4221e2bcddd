import type { Type } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { PolicyRefusal } from '../errors/policy-refusal';

/** One page of a list, and where the next one starts. */
export interface Page<Item> {
  readonly data: readonly Item[];
  /** Opaque; `null` on the last page. */
  readonly nextCursor: string | null;
}

/** The query of every list. */
export class PageQuery {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: 100, default: 20, required: false, description: 'Items a page' })
  readonly limit: number = 20;

  @ApiProperty({ type: String, maxLength: 512, required: false, description: 'The `nextCursor` of the page before' })
  readonly cursor?: string;
}

const pages = new Map<Type, Type>();

/** The view of a page of `item`s, for `@Responds`. */
export function pageOf(item: Type): Type {
  const known = pages.get(item);
  if (known) return known;
  class PageView {
    @ApiProperty({ type: () => item, isArray: true })
    readonly data!: unknown[];

    @ApiProperty({
      type: String,
      nullable: true,
      description: 'Give it as `cursor` for the next page; null on the last',
    })
    readonly nextCursor!: string | null;
  }
  Object.defineProperty(PageView, 'name', { value: `${item.name}Page` });
  pages.set(item, PageView);
  return PageView;
}

/** Makes the cursor that continues behind these sort keys. */
export function cursorAfter(...keys: string[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}

/**
 * Reads a cursor back into its sort keys.
 * @throws PolicyRefusal 400 for anything that `cursorAfter` with that many keys did not make
 */
export function keysOf(cursor: string, count: number): string[] {
  try {
    const keys: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (
      Array.isArray(keys) &&
      keys.length === count &&
      keys.every((key) => typeof key === 'string' && !key.includes('\0'))
    ) {
      return keys as string[];
    }
  } catch {
    // Not JSON: refused below like every other invention.
  }
  throw new PolicyRefusal(400, 'cursor_invalid', 'Cursor invalid', 'The cursor is none that a list gave');
}

/** Cuts `limit + 1` rows down to a page; the extra row tells that there is a next one. */
export function pageFrom<Row>(rows: readonly Row[], limit: number, keys: (last: Row) => string[]): Page<Row> {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  return { data, nextCursor: rows.length > limit && last ? cursorAfter(...keys(last)) : null };
}
