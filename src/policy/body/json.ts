import { PolicyRefusal } from '../errors/policy-refusal';
import { errorOffset } from './json-position';

/** Deeper JSON is nobody's data, and every recursion behind us may count on that. */
export const maxDepth = 32;

/**
 * Parses a JSON body, which must be an object or an array, at most 32 deep, without names that reach a prototype.
 * @throws PolicyRefusal 400 with the position of the error, never with a part of the body
 */
export function parseJson(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(text);
    throw error;
  }
  if (typeof value !== 'object' || value === null) {
    throw new PolicyRefusal(400, 'invalid_body', 'Bad Request', 'The body must be a JSON object or array');
  }
  inspect(value);
  return value;
}

/** Walks without recursion, since the depth is what is in question. */
function inspect(root: object): void {
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) throw tooDeep;
    const next: object[] = [];
    for (const container of level) {
      if (Array.isArray(container)) {
        for (const item of container as unknown[]) if (typeof item === 'object' && item !== null) next.push(item);
        continue;
      }
      for (const name in container) {
        if (name === '__proto__') throw dangerousName;
        const value = (container as Record<string, unknown>)[name];
        if (typeof value !== 'object' || value === null) continue;
        if (name === 'constructor' && Object.hasOwn(value, 'prototype')) throw dangerousName;
        next.push(value);
      }
    }
    level = next;
  }
}

const tooDeep = new PolicyRefusal(400, 'json_too_deep', 'Bad Request', `JSON may be nested ${maxDepth} levels deep`);
const dangerousName = new PolicyRefusal(400, 'forbidden_property', 'Bad Request', 'The body names a prototype');

function malformed(text: string): PolicyRefusal {
  const position = errorOffset(text);
  const before = text.slice(0, position);
  const line = before.split('\n').length;
  const column = position - before.lastIndexOf('\n');
  const what = position >= text.length ? 'ends too early' : 'is not JSON';
  return new PolicyRefusal(
    400,
    'malformed_json',
    'Malformed JSON',
    `The body ${what} at line ${line}, column ${column}`,
    {
      members: { position, line, column },
    },
  );
}
