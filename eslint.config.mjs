import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** ESLint's own rules against what is a mistake wherever it stands; for TypeScript the compiler finds most of it. */
const mistakes = [
  'constructor-super',
  'getter-return',
  'no-async-promise-executor',
  'no-compare-neg-zero',
  'no-cond-assign',
  'no-const-assign',
  'no-control-regex',
  'no-debugger',
  'no-dupe-class-members',
  'no-dupe-else-if',
  'no-dupe-keys',
  'no-duplicate-case',
  'no-empty',
  'no-empty-pattern',
  'no-ex-assign',
  'no-fallthrough',
  'no-func-assign',
  'no-import-assign',
  'no-invalid-regexp',
  'no-irregular-whitespace',
  'no-loss-of-precision',
  'no-misleading-character-class',
  'no-redeclare',
  'no-self-assign',
  'no-sparse-arrays',
  'no-this-before-super',
  'no-undef',
  'no-unreachable',
  'no-unsafe-finally',
  'no-unsafe-negation',
  'no-unsafe-optional-chaining',
  'no-unused-private-class-members',
  'no-useless-assignment',
  'no-useless-catch',
  'no-useless-escape',
  'require-yield',
  'use-isnan',
  'valid-typeof',
];

export default defineConfig(
  { ignores: ['dist', '.gatehouse', 'node_modules', 'coverage', '**/*.cjs', '**/*.js'] },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-extraneous-class': 'off', // Nest modules are classes without members
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off', // Nest takes options objects where it declares classes
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only the programs in src/ read the environment.' },
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    extends: [tseslint.configs.recommended],
    languageOptions: {
      globals: Object.fromEntries(Object.getOwnPropertyNames(globalThis).map((name) => [name, 'readonly'])),
    },
    rules: {
      ...Object.fromEntries(mistakes.map((rule) => [rule, 'error'])),
      // What is taken out of an object so that the rest can be had.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
    },
  },
  {
    files: ['main', 'migrate', 'audit-verify', 'phi-rotate', 'tenant-erase', 'tenant-export', 'failure'].map(
      (name) => `src/${name}.ts`,
    ),
    rules: { 'no-restricted-properties': 'off' },
  },
  { files: ['test/**', '**/*.spec.ts', 'tour/**'], rules: { 'no-restricted-properties': 'off', 'no-console': 'off' } },
);
