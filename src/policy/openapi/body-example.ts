import type { OpenAPIObject } from '@nestjs/swagger';

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, { readonly example?: unknown }>>;
}

interface Media {
  readonly schema?: Schema;
  example?: unknown;
}

interface Operation {
  readonly requestBody?: { readonly content?: Readonly<Record<string, Media>> };
}

/**
 * Gives each body an example of those properties that name one. Else Swagger UI makes one up that holds every optional
 * property, with the word "string" for a cursor, and its first try is refused.
 */
export function addBodyExamples({ paths, components }: OpenAPIObject): void {
  const schemas = (components?.schemas ?? {}) as Readonly<Record<string, Schema>>;
  for (const item of Object.values(paths)) {
    for (const operation of Object.values(item as Readonly<Record<string, Operation>>)) {
      for (const media of Object.values(operation.requestBody?.content ?? {})) {
        const name = media.schema?.$ref?.split('/').at(-1);
        const properties = name === undefined ? undefined : schemas[name]?.properties;
        if (properties) media.example = exampleOf(properties);
      }
    }
  }
}

function exampleOf(properties: NonNullable<Schema['properties']>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, { example }]) => (example === undefined ? [] : [[name, example]])),
  );
}
