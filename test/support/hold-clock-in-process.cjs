// Preloaded into a process of the application: its clock, and the time of its limits, are what stands in CLOCK_FILE.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
require('reflect-metadata');
const { CLOCK_FILE, CLOCK_BUILT_DIR } = process.env;
const { Clock } = require(join(CLOCK_BUILT_DIR, 'platform/config'));
const { LimitStore } = require(join(CLOCK_BUILT_DIR, 'policy/throttling/limit-store'));

const now = () => Number(readFileSync(CLOCK_FILE, 'utf8'));
Clock.prototype.now = now;
LimitStore.prototype.redisMicros = () => now() * 1000;
