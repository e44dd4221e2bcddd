import type { Type } from '@nestjs/common';
import { fieldsOf, nestedOf } from '../../platform/schema';
import { freeTextMark } from './free-text.decorator';

/** Which properties of an input are free text, by name and at any depth. */
export interface Exemptions {
  readonly properties: ReadonlyMap<string, 'free text' | Exemptions>;
}

const none: Exemptions = { properties: new Map() };
const known = new Map<Type, Exemptions>();

/** What a DTO declares with `@FreeText()`, its nested DTOs (by the `type` of their `@ApiProperty`) included. Read once for each class. */
export function exemptionsOf(dto: Type | undefined): Exemptions {
  if (!dto) return none;
  const before = known.get(dto);
  if (before) return before;
  const properties = new Map<string, 'free text' | Exemptions>();
  // Known before it is filled: a DTO may hold itself.
  const exemptions: Exemptions = { properties };
  known.set(dto, exemptions);
  for (const { name, metadata } of fieldsOf(dto)) {
    const nested = nestedOf(metadata);
    if (metadata[freeTextMark] === true) properties.set(name, 'free text');
    else if (nested) properties.set(name, exemptionsOf(nested));
  }
  return exemptions;
}
