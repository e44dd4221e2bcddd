import { setFlagsFromString } from 'node:v8';

// Before anything is compiled: docs/decisions/0016-what-a-request-reads-stays-young.md.

/**
 * What a request reads lives for milliseconds, but a burst makes it live longer, and V8 then allocates it in the old generation
 * for good.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

/**
 * V8 marks the old generation in threads beside the one that serves. On the one core that a process is given they take most
 * of it, for 30 to 130 ms each time. Without them it is marked in steps.
 */
setFlagsFromString('--no-concurrent-marking');
