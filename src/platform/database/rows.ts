import pg from 'pg';

/** A column, as Postgres describes it. */
export interface Column {
  readonly name: string;
  /** The OID of its type. */
  readonly dataTypeID: number;
}

/** How the rows of a statement are read. */
export class Rows {
  private readonly names: readonly string[];
  private readonly parsers: readonly ((text: string) => unknown)[];
  /** Copied for each row: one that grows by a column at a time costs several times as much. */
  private readonly empty: Readonly<Record<string, null>>;

  constructor(columns: readonly Column[]) {
    this.names = columns.map(({ name }) => name);
    this.parsers = columns.map(({ dataTypeID }) => parserOf(dataTypeID));
    this.empty = Object.fromEntries(this.names.map((name) => [name, null]));
  }

  /** @param texts the columns in their text form @throws whatever the parser of a type does */
  read(texts: readonly (string | null)[]): Record<string, unknown> {
    const row: Record<string, unknown> = { ...this.empty };
    for (let column = 0; column < texts.length; column += 1) {
      const text = texts[column];
      const name = this.names[column];
      if (text != null && name !== undefined) row[name] = this.parsers[column]?.(text);
    }
    return row;
  }
}

/** Of all types, the driver's declarations know those that it has a parser for. */
const parserOf = pg.types.getTypeParser as (type: number) => (text: string) => unknown;
