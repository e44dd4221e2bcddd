import type { Type } from '@nestjs/common';

/** A JSON Schema (draft 2020-12, the dialect of OpenAPI 3.1), as far as DTOs use it. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly [keyword: string]: unknown;
}

interface PropertyMetadata {
  readonly type?: unknown;
  readonly isArray?: boolean;
  readonly required?: boolean;
  readonly nullable?: boolean;
  readonly enum?: unknown;
  readonly [keyword: string]: unknown;
}

const propertiesKey = 'swagger/apiModelProperties';
const listKey = 'swagger/apiModelPropertiesArray';
/** Keywords that say something to a validator; the rest (description, example …) is for readers. */
const keywords = [
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minItems',
  'maxItems',
  'uniqueItems',
  'enum',
  'const',
  'default',
] as const;

/** The fields of a DTO class in the order of their declaration, as its `@ApiProperty` decorators give them. */
export function fieldsOf(dto: Type): { name: string; metadata: PropertyMetadata }[] {
  const prototype = dto.prototype as object;
  const list = (Reflect.getMetadata(listKey, prototype) ?? []) as string[];
  return list.map((entry) => {
    const name = entry.slice(1);
    return { name, metadata: Reflect.getMetadata(propertiesKey, prototype, name) as PropertyMetadata };
  });
}

/** The class of a field that holds another DTO (or a list of them); `undefined` for plain values. */
export function nestedOf(metadata: PropertyMetadata): Type | undefined {
  const { type } = metadata;
  if (typeof type !== 'function' || isPlain(type)) return undefined;
  // Swagger takes `() => Other` for classes declared later; a class itself cannot be called.
  const isThunk = type.prototype === undefined;
  const resolved = isThunk ? (type as () => unknown)() : type;
  if (Array.isArray(resolved)) return resolved[0] as Type;
  return typeof resolved === 'function' && !isPlain(resolved) ? (resolved as Type) : undefined;
}

/** The schema of a DTO: exactly its declared fields, no others. One source for validation, allow-list and documentation. */
export function schemaOf(dto: Type): Schema {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const { name, metadata } of fieldsOf(dto)) {
    if (metadata.required !== false) required.push(name);
    properties[name] = schemaOfField(metadata);
  }
  return { type: 'object', properties, required, additionalProperties: false };
}

function schemaOfField(metadata: PropertyMetadata): Schema {
  const nested = nestedOf(metadata);
  const constraints = Object.fromEntries(
    keywords.filter((keyword) => metadata[keyword] !== undefined).map((keyword) => [keyword, metadata[keyword]]),
  );
  const isArray = metadata.isArray === true || metadata.type === 'array';
  if (isArray) {
    const items = nested
      ? schemaOf(nested)
      : ((metadata.items as Schema | undefined) ?? { type: nameOf(metadata.type) });
    return { type: 'array', items, ...constraints };
  }
  if (nested) return metadata.nullable === true ? { anyOf: [schemaOf(nested), { type: 'null' }] } : schemaOf(nested);
  const type = nameOf(metadata.type);
  return { ...(type && { type: metadata.nullable === true ? [type, 'null'] : type }), ...constraints } as Schema;
}

function isPlain(type: unknown): boolean {
  return type === String || type === Number || type === Boolean || type === Object || type === Date || type === Array;
}

function nameOf(type: unknown): string | readonly string[] | undefined {
  if (typeof type === 'string' || Array.isArray(type)) return type as string | readonly string[];
  if (type === Number) return 'number';
  if (type === Boolean) return 'boolean';
  if (type === String || type === Date) return 'string';
  return type === Object ? 'object' : undefined;
}
