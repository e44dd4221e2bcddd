/** Conventional Commits 1.0; every subject says what changes for whom, in one line. */
export default {
  extends: ['@commitlint/config-conventional'],
  rules: {
    'body-max-line-length': [0],
    'footer-max-line-length': [0],
  },
};
