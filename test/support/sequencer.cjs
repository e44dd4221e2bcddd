const { default: Sequencer } = require('@jest/test-sequencer');

/** What takes longest, in this order; then the other tests of whole processes, then those beside the code. */
const longest = [
  'isolation.load',
  'outbox-faults',
  'embedded',
  'outbox',
  'faults',
  'phi',
  'isolation.walls',
  'fuzz',
  'audit',
];

/** How late a file may begin: the long ones at once, lest one of them runs alone at the end. */
function rank({ path }) {
  const name = /([^/\\]+)\.(?:e2e-)?spec\.ts$/.exec(path)?.[1];
  const place = longest.indexOf(name);
  if (place >= 0) return place;
  return longest.length + (path.endsWith('.e2e-spec.ts') ? 0 : 1);
}

/** Jest's own order, which goes by the times of earlier runs; where there were none, by what is known to take long. */
module.exports = class extends Sequencer {
  sort(tests) {
    const known = tests.some((test) => this.time(test) !== undefined);
    return known ? super.sort(tests) : [...tests].sort((one, other) => rank(one) - rank(other));
  }
};
