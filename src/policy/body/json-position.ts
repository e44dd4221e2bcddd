const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringPart = /[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/y;
const white = /[ \t\n\r]*/y;

/**
 * Where a text stops being JSON (RFC 8259), as an offset in UTF-16 units; its length, where it ends too early.
 * Asked for only after `JSON.parse` refused: V8's own message sometimes has the position and sometimes a part of the
 * text, which must not be repeated. Keeps its own stack, so that a deep text costs no frames.
 */
export function errorOffset(text: string): number {
  const open: ('{' | '[')[] = [];
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  /** Consumes a string; stops where it is broken. */
  const string = (): boolean => {
    at++;
    while (skip(stringPart));
    if (text[at] !== '"') return false;
    at++;
    return true;
  };
  /** Consumes `"name" :`, and the white space around it. */
  const name = (): boolean => {
    if (text[at] !== '"' || !string()) return false;
    skip(white);
    if (text[at] !== ':') return false;
    at++;
    skip(white);
    return true;
  };
  /** Consumes `true`, `false` or `null`; stops at the first letter that is another. */
  const literal = (): boolean => {
    const word = text[at] === 't' ? 'true' : text[at] === 'f' ? 'false' : text[at] === 'n' ? 'null' : undefined;
    if (word === undefined) return false;
    for (const letter of word) {
      if (text[at] !== letter) return false;
      at++;
    }
    return true;
  };

  skip(white);
  for (;;) {
    // A value begins here.
    const first = text[at];
    if (first === '{' || first === '[') {
      at++;
      skip(white);
      if (text[at] !== (first === '{' ? '}' : ']')) {
        open.push(first);
        if (first === '{' && !name()) return at;
        continue;
      }
      at++;
    } else if (first === '"' ? !string() : !(skip(number) || literal())) return at;

    // A value ended here: close what it closes, or go on to the next one.
    for (;;) {
      skip(white);
      const inside = open.at(-1);
      if (inside === undefined) return at;
      if (text[at] === (inside === '{' ? '}' : ']')) {
        at++;
        open.pop();
        continue;
      }
      if (text[at] !== ',') return at;
      at++;
      skip(white);
      if (inside === '{' && !name()) return at;
      break;
    }
  }
}
