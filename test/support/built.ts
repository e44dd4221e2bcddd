import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Ground from '../../src/platform/database/ground';
import type * as Embedded from '../../src/platform/embedded';
import { builtDir } from './places';

interface Built {
  'platform/embedded': typeof Embedded;
  'platform/database/ground': typeof Ground;
}

/** A module of the build, as spawned processes see it (Jest's own loader would transform it again). */
export function built<Name extends keyof Built>(name: Name): Built[Name] {
  return createRequire(join(builtDir, 'main.js'))(`./${name}`) as Built[Name];
}
