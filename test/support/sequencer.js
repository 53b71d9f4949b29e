/** Hands jest the order of order-of-files.js, from what earlier runs took where jest remembers it. */
const Sequencer = require('@jest/test-sequencer').default;
const { orderFiles, secondsOf } = require('./order-of-files');

module.exports = class extends Sequencer {
  constructor(options) {
    super(options);
    this.workers = options?.globalConfig?.maxWorkers ?? 1;
  }

  sort(tests) {
    const files = super.sort(tests).map((test) => ({
      ...{ test, path: test.path, seconds: secondsOf(test.path, test.duration) },
      failed: this.hasFailed(test),
    }));
    return orderFiles(files, this.workers).map(({ test }) => test);
  }
};
