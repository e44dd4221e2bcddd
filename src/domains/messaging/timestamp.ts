/** The form of a message's `ts` on the wire. */
export const tsPattern = '^[0-9]{1,10}\\.[0-9]{6}$';

/** The bounds of a history are less strict: whole seconds, or fewer digits. */
export const momentPattern = '^[0-9]{1,10}(?:\\.[0-9]{1,6})?$';

/** `1732497302.000100` → `1732497302000100`, microseconds since 1970; never a number, which would round. */
export function microsOf(moment: string): string {
  const [seconds = '', fraction = ''] = moment.split('.');
  return seconds + fraction.padEnd(6, '0');
}

/** The inverse of `microsOf`. */
export function tsOf(micros: string): string {
  const digits = micros.padStart(7, '0');
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
}
