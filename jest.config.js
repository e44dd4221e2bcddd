const { readFileSync } = require('node:fs');

const swc = JSON.parse(readFileSync(`${__dirname}/.swcrc`, 'utf8'));
delete swc.$schema;
// Jest's sandbox knows no native import(): here it becomes a require.
swc.module.ignoreDynamic = false;

/** Specs beside the code and end-to-end tests in test/: all against real servers, started once by the global set-up. */
module.exports = {
  rootDir: __dirname,
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testRegex: ['\\.spec\\.ts$', '\\.e2e-spec\\.ts$'],
  testEnvironment: 'node',
  transform: { '^.+\\.[jt]s$': ['@swc/jest', { ...swc, swcrc: false }] },
  // These ship as ES modules only; everything else in node_modules is taken as it is.
  transformIgnorePatterns: [
    '/node_modules/(?!(@nestjs|nestjs-cls|jose|typeid-js|uuid|file-type|strtok3|token-types|uint8array-extras|@borewit)/)',
  ],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  setupFiles: ['reflect-metadata'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  testSequencer: '<rootDir>/test/support/sequencer.cjs',
  testTimeout: 90_000,
  maxWorkers: 2,
};
