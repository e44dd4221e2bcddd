import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  { ignores: ['dist', '.gatehouse', 'bench', 'node_modules', 'coverage', '**/*.mjs', '**/*.cjs', '**/*.js'] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
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
    files: ['main', 'migrate', 'audit-verify', 'phi-rotate', 'tenant-erase', 'tenant-export'].map((name) => `src/${name}.ts`),
    rules: { 'no-restricted-properties': 'off' },
  },
  { files: ['test/**', '**/*.spec.ts', 'tour/**'], rules: { 'no-restricted-properties': 'off', 'no-console': 'off' } },
);
