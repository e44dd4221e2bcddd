import type { Type } from '@nestjs/common';
import { fieldsOf, nestedOf } from '../../platform/schema';

type Picker = (source: unknown) => unknown;

const pickers = new Map<Type, Picker>();

/** Builds the function that copies exactly the fields which a view lists, at any depth. */
export function pickerOf(view: Type): Picker {
  const known = pickers.get(view);
  if (known) return known;
  const fields = fieldsOf(view).map(({ name, metadata }) => {
    const nested = nestedOf(metadata);
    return { name, isList: metadata.isArray === true || metadata.type === 'array', nested: nested && pickerOf(nested) };
  });
  if (fields.length === 0) throw new Error(`${view.name} lists no fields: nothing could leave`);
  const picker: Picker = (source) => {
    if (typeof source !== 'object' || source === null) return null;
    const values = source as Record<string, unknown>;
    const picked: Record<string, unknown> = {};
    for (const { name, isList, nested } of fields) {
      const value = values[name];
      if (value === undefined) continue;
      picked[name] = nested && value !== null ? (isList ? (value as unknown[]).map(nested) : nested(value)) : value;
    }
    return picked;
  };
  pickers.set(view, picker);
  return picker;
}
