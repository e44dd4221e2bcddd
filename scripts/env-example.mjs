// Prints .env.example from the table in src/platform/config/variables.ts.
import { createRequire } from 'node:module';
import { writeFile } from 'node:fs/promises';
import { build } from './build.mjs';

await build();
const { envExample } = createRequire(import.meta.url)('../dist/platform/config/env-example.js');
await writeFile(new URL('../.env.example', import.meta.url), envExample());
