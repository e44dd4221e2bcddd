import { Injectable } from '@nestjs/common';
import { pathToRegexp } from 'path-to-regexp';
import { PolicyRefusal } from '../errors/policy-refusal';
import { Routes } from '../routes';

interface PatternEntry {
  readonly pattern: RegExp;
  readonly methods: ReadonlySet<string>;
}

interface Table {
  /** Paths without parameters, in lower case: Express matches so. */
  readonly exact: ReadonlyMap<string, ReadonlySet<string>>;
  /** Paths with parameters, by their first segment; under the empty string, those whose first segment is one. */
  readonly patterns: ReadonlyMap<string, readonly PatternEntry[]>;
}

const everyMethod = ['DELETE', 'GET', 'PATCH', 'POST', 'PUT'];
const special = /[:*{}()[\]\\]/;

/** Which methods a path really has, from the same walk over the routes that enforces their policies. */
@Injectable()
export class MethodTable {
  private table: Table | undefined;

  constructor(private readonly routes: Routes) {}

  /** The methods of a request target, sorted, with `HEAD` and `OPTIONS` where they work; `undefined` for an unknown path. */
  methodsOf(target: string): readonly string[] | undefined {
    const table = (this.table ??= tableOf(this.routes));
    const mark = target.indexOf('?');
    const path = mark === -1 ? target : target.slice(0, mark);
    const plain = normalised(path);
    const found = new Set(table.exact.get(plain));
    for (const first of [firstSegmentOf(plain), '']) {
      for (const { pattern, methods } of table.patterns.get(first) ?? []) {
        if (pattern.test(path)) for (const method of methods) found.add(method);
      }
    }
    if (found.size === 0) return undefined;
    if (found.has('GET')) found.add('HEAD');
    found.add('OPTIONS');
    return [...found].sort();
  }
}

/** The refusal of a path that does not exist. */
export function notFound(): PolicyRefusal {
  return new PolicyRefusal(404, 'not_found', 'Not Found', 'Nothing is here');
}

function tableOf(routes: Routes): Table {
  const byPath = new Map<string, Set<string>>();
  for (const { path, method } of routes.all()) {
    const methods = byPath.get(path) ?? new Set<string>();
    byPath.set(path, methods);
    for (const name of method === 'ALL' ? everyMethod : [method]) methods.add(name);
  }
  const exact = new Map<string, Set<string>>();
  const patterns = new Map<string, PatternEntry[]>();
  for (const [path, methods] of byPath) {
    if (!special.test(path)) {
      const plain = normalised(path);
      exact.set(plain, new Set([...(exact.get(plain) ?? []), ...methods]));
      continue;
    }
    const first = firstSegmentOf(normalised(path));
    const key = special.test(first) ? '' : first;
    const { regexp } = pathToRegexp(path, { sensitive: false, end: true, trailing: true });
    patterns.set(key, [...(patterns.get(key) ?? []), { pattern: regexp, methods }]);
  }
  return { exact, patterns };
}

/** As Express compares: without case and without the slash at the end. */
function normalised(path: string): string {
  const lower = path.toLowerCase();
  return lower.length > 1 && lower.endsWith('/') ? lower.slice(0, -1) : lower;
}

function firstSegmentOf(path: string): string {
  const end = path.indexOf('/', 1);
  return end === -1 ? path.slice(1) : path.slice(1, end);
}
