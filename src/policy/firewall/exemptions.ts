import type { Type } from '@nestjs/common';
import { freeTextMark } from './free-text.decorator';

/** Which properties of an input are free text, by name and at any depth. */
export interface Exemptions {
  readonly properties: ReadonlyMap<string, 'free text' | Exemptions>;
}

/** Where `@ApiProperty` keeps what it was told; the package exports no name for it. */
const propertiesKey = 'swagger/apiModelProperties';
const listKey = 'swagger/apiModelPropertiesArray';

interface PropertySchema {
  readonly type?: unknown;
  readonly [freeTextMark]?: true;
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
  const prototype = dto.prototype as object;
  const names = (Reflect.getMetadata(listKey, prototype) ?? []) as string[];
  for (const name of names.map((entry) => entry.slice(1))) {
    const schema = Reflect.getMetadata(propertiesKey, prototype, name) as PropertySchema;
    if (schema[freeTextMark]) properties.set(name, 'free text');
    else {
      const nested = classOf(schema.type) ?? classOf(Reflect.getMetadata('design:type', prototype, name));
      if (nested) properties.set(name, exemptionsOf(nested));
    }
  }
  return exemptions;
}

/** The DTO behind a schema's `type`: a class, a list of one, or a function that names either later. */
function classOf(type: unknown): Type | undefined {
  if (Array.isArray(type)) return classOf(type[0]);
  if (typeof type !== 'function') return undefined;
  if (type.prototype === undefined) return classOf((type as () => unknown)());
  return Reflect.hasMetadata(listKey, type.prototype as object) ? (type as Type) : undefined;
}
