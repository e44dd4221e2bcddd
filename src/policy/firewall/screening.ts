import type { Exemptions } from './exemptions';
import { type Place, type Signature, signatures, suspicious } from './signatures';

/** A signature that hit, and where, as a JSON Pointer (RFC 6901). */
export interface Hit {
  readonly signature: Signature;
  pointer: string;
}

const byPlace: Readonly<Record<Place, readonly Signature[]>> = {
  query: signatures.filter(({ places }) => places.includes('query')),
  body: signatures.filter(({ places }) => places.includes('body')),
  key: signatures.filter(({ places }) => places.includes('key')),
};
const sparingNothing = signatures.filter(({ sparesNothing }) => sparesNothing);
const sqlComment = /\/\*[^*]{0,64}\*\//g;
const escape = /%[\da-f]{2}/i;

/** The first signature that hits a text, if one does. */
export function signatureIn(text: string, place: Place): Signature | undefined {
  if (!suspicious.test(text)) return undefined;
  const rules = byPlace[place];
  const found = firstOf(rules, text);
  if (found) return found;
  // `union/**/select`: a comment is white space to a database.
  if (text.includes('/*')) {
    const spaced = firstOf(rules, text.replace(sqlComment, ' '));
    if (spaced) return spaced;
  }
  // `%2527`: what is still escaped after decoding waits for a reader who decodes twice.
  if (place === 'query' && escape.test(text)) {
    const decoded = decodedOnce(text);
    if (decoded !== undefined) return firstOf(rules, decoded);
  }
  return undefined;
}

/**
 * The first hit in the values and names of an input, except in what is free text.
 * Recursive: whoever parsed the input bounded its depth.
 */
export function screen(input: unknown, place: Place, exemptions: Exemptions | undefined): Hit | undefined {
  if (typeof input === 'string') return hitOf(signatureIn(input, place));
  if (typeof input !== 'object' || input === null) return undefined;
  if (Array.isArray(input)) {
    for (let index = 0; index < input.length; index++) {
      const hit = screen(input[index], place, exemptions);
      if (hit) return below(String(index), hit);
    }
    return undefined;
  }
  for (const name in input) {
    const named = hitOf(signatureIn(name, 'key'));
    if (named) return named;
    const exempt = exemptions?.properties.get(name);
    const value = (input as Record<string, unknown>)[name];
    const hit = exempt === 'free text' ? screenFreeText(value) : screen(value, place, exempt);
    if (hit) return below(name, hit);
  }
  return undefined;
}

/** Looks for what not even free text may hold. */
function screenFreeText(value: unknown): Hit | undefined {
  if (typeof value === 'string') return hitOf(firstOf(sparingNothing, value));
  if (typeof value !== 'object' || value === null) return undefined;
  for (const name in value) {
    const hit = hitOf(firstOf(sparingNothing, name)) ?? screenFreeText((value as Record<string, unknown>)[name]);
    if (hit) return below(name, hit);
  }
  return undefined;
}

function firstOf(rules: readonly Signature[], text: string): Signature | undefined {
  for (const rule of rules) if (rule.pattern.test(text)) return rule;
  return undefined;
}

function hitOf(signature: Signature | undefined): Hit | undefined {
  return signature && { signature, pointer: '' };
}

function below(name: string, hit: Hit): Hit {
  hit.pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}${hit.pointer}`;
  return hit;
}

function decodedOnce(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    // A per cent sign of the text's own.
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
