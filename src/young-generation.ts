import { setFlagsFromString } from 'node:v8';

/**
 * What a request reads lives for milliseconds, but a burst makes it live longer, and V8 then allocates it in the old generation
 * for good. Before anything is compiled: docs/decisions/0016-what-a-request-reads-stays-young.md.
 */
setFlagsFromString('--no-allocation-site-pretenuring');
