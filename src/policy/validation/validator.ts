import type { Type } from '@nestjs/common';
import { Ajv, type ErrorObject } from 'ajv';
import addFormats from 'ajv-formats';
import { schemaOf } from '../../platform/schema';
import { type InputError, PolicyRefusal } from '../errors/policy-refusal';

/** Where an input stands; `arguments` are a body that may be a form. */
export type Source = 'body' | 'arguments' | 'query' | 'path';
type Check = (input: unknown) => void;

const strict = addFormats(new Ajv({ allErrors: true, strictTypes: false, useDefaults: true }));
/** Queries, paths and forms are text on the wire; a DTO's numbers and booleans are converted in place. */
const coercing = addFormats(new Ajv({ allErrors: true, strictTypes: false, useDefaults: true, coerceTypes: true }));

const mostErrors = 20;
const checks: Record<Source, Map<Type, Check>> = {
  body: new Map(),
  arguments: new Map(),
  query: new Map(),
  path: new Map(),
};

/** The compiled check of a DTO: returns, or throws the 400 that names each wrong place. Compiled once a class. */
export function validatorOf(dto: Type, source: Source): Check {
  let check = checks[source].get(dto);
  if (!check) {
    const validate = (source === 'body' ? strict : coercing).compile(schemaOf(dto));
    check = (input) => {
      if (!validate(input)) throw invalid((validate.errors ?? []).map(describe));
    };
    checks[source].set(dto, check);
  }
  return check;
}

/** The 400 of an input that is well-formed but wrong. */
export function invalid(errors: InputError[]): PolicyRefusal {
  return new PolicyRefusal(400, 'validation_failed', 'Validation failed', 'The request has invalid fields', {
    errors: errors.slice(0, mostErrors),
  });
}

/** Names the field as a JSON Pointer; what a client sent is never repeated. */
function describe({ instancePath, keyword, params, message }: ErrorObject): InputError {
  const field =
    keyword === 'additionalProperties'
      ? (params.additionalProperty as string)
      : keyword === 'required'
        ? (params.missingProperty as string)
        : undefined;
  const path = field === undefined ? instancePath : `${instancePath}/${escapePointer(field)}`;
  if (keyword === 'additionalProperties') return { path, message: 'is not known here' };
  if (keyword === 'required') return { path, message: 'is required' };
  if (keyword === 'enum')
    return { path, message: `must be one of ${(params.allowedValues as unknown[]).map(String).join(', ')}` };
  return { path, message: message ?? 'is invalid' };
}

function escapePointer(name: string): string {
  return name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');
}
