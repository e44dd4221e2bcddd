/** Tests in a real browser: apart from the others, so that `npm test` needs none. */
module.exports = {
  ...require('./jest.config.js'),
  roots: ['<rootDir>/test/browser'],
  testRegex: ['\\.browser-spec\\.ts$'],
  testTimeout: 240_000,
  maxWorkers: 1,
};
