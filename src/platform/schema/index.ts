export { fieldsOf, nestedOf, type Schema, schemaOf } from './schema-of';
