// Prints docs/permissions.md from the tables of the domains, src/domains/*/*.permissions.ts.
import { createRequire } from 'node:module';
import { writeFile } from 'node:fs/promises';
import { build } from './build.mjs';

await build();
const { permissionsDocument } = createRequire(import.meta.url)('../dist/permissions.js');
await writeFile(new URL('../docs/permissions.md', import.meta.url), permissionsDocument());
