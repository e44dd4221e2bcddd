import { parse } from 'node:querystring';
import { PolicyRefusal } from '../errors/policy-refusal';

/** More fields than any form has; the size of the body alone would allow fifty thousand. */
const maxFields = 1_000;

/**
 * Parses `application/x-www-form-urlencoded`: flat, a repeated name becomes a list.
 * @throws PolicyRefusal 400 for too many fields, and for a name that reaches a prototype
 */
export function parseForm(text: string): Record<string, string | string[]> {
  const fields = parse(text, '&', '=', { maxKeys: maxFields + 1 });
  const names = Object.keys(fields);
  if (names.length > maxFields) {
    throw new PolicyRefusal(400, 'too_many_fields', 'Bad Request', `A form may have ${maxFields} fields`);
  }
  const form: Record<string, string | string[]> = {};
  for (const name of names) {
    if (name === '__proto__')
      throw new PolicyRefusal(400, 'forbidden_property', 'Bad Request', 'The body names a prototype');
    form[name] = fields[name] ?? '';
  }
  return form;
}
