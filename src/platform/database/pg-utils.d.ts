/** What the driver does beyond its published types. */
declare module 'pg/lib/utils' {
  /** A value as it is sent: its text form, or bytes. @throws for an object that refers to itself */
  export function prepareValue(value: unknown): string | Buffer | null;
}
