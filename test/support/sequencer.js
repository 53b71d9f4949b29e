/** Files that start guests run first: they take minutes whatever their size, and the last ones to run should be short. */
const Sequencer = require('@jest/test-sequencer').default;

const startsGuests = ({ path }) => path.endsWith('.guest.test.ts');

module.exports = class extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    return [...sorted.filter(startsGuests), ...sorted.filter((test) => !startsGuests(test))];
  }
};
