/** The arrows of the house: domains → policy/index, platform; policy → platform; platform → nothing above. No exceptions list. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'platform-knows-nobody-above',
      severity: 'error',
      from: { path: '^src/platform/' },
      to: { path: '^src/(policy|domains|demo)/|^src/[^/]+\\.ts$' },
    },
    {
      name: 'policy-knows-no-domain',
      severity: 'error',
      from: { path: '^src/policy/' },
      to: { path: '^src/(domains|demo)/|^src/[^/]+\\.ts$' },
    },
    {
      name: 'domains-use-the-policy-index',
      severity: 'error',
      from: { path: '^src/domains/' },
      to: { path: '^src/policy/(?!index\\.ts$)' },
    },
    {
      name: 'domains-meet-at-their-index',
      severity: 'error',
      from: { path: '^src/domains/([^/]+)/' },
      to: { path: '^src/domains/', pathNot: ['^src/domains/$1/', '^src/domains/[^/]+/index\\.ts$'] },
    },
    {
      name: 'domains-know-nothing-above',
      severity: 'error',
      from: { path: '^src/domains/' },
      to: { path: '^src/demo/|^src/[^/]+\\.ts$' },
    },
    {
      name: 'domains-never-cross-tenants',
      severity: 'error',
      from: { path: '^src/domains/' },
      to: { path: '^src/platform/(database/(system|ground|bootstrap|migrate)|tenant-data/)' },
    },
    {
      name: 'dead-letters-are-for-operators',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(domains/operations|platform/outbox/dead-letters)/' },
      to: { path: '^src/platform/outbox/dead-letters/' },
    },
    {
      name: 'bull-stays-in-queues',
      severity: 'error',
      from: { pathNot: '^src/platform/queues/' },
      to: { path: 'node_modules/(bull|@nestjs/bull)/' },
    },
    {
      name: 'embedded-is-loaded-by-the-ground',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(ground\\.ts|platform/embedded/)' },
      to: { path: '^src/platform/embedded/' },
    },
    { name: 'nothing-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
