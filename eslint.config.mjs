import js from '@eslint/js';
import ts from 'typescript-eslint';

/** Who may import whom (docs/concepts.md has the picture). Each rule says why, so that the message teaches. */
const layers = [
  ['model', ['model'], 'model/ is the pure core: no I/O, no clock, no randomness; it imports nothing of ours.'],
  ['programs', ['programs', 'model'], 'programs/ only knows other programs, and the locks that keep processes apart.'],
  [
    'workflows',
    ['workflows', 'model', 'activities/contract'],
    'Workflows replay: they know model/ and the types in activities/contract.ts.',
  ],
  [
    'platforms',
    ['platforms', 'model', 'programs', 'replication/contract', 'replication/prepared-contract', 'disks/contract'],
    'Platforms know neither Temporal nor the other folders (the simulated site implements the contracts of replication/ and disks/).',
  ],
  ['disks', ['disks', 'model', 'programs', 'platforms/contract'], 'The disk toolkit stands alone.'],
  [
    'replication',
    ['replication', 'disks', 'model', 'programs', 'platforms/contract'],
    'Replication does not know Temporal, Postgres or the API.',
  ],
  ['record', ['record', 'model'], 'The record must be verifiable without the rest.'],
  ['store', ['store', 'record', 'model'], 'store/ is the only folder with SQL and knows nothing above it.'],
  [
    'activities',
    [
      'activities',
      'platforms',
      'disks',
      'replication',
      'vault',
      'record',
      'store',
      'templates',
      'model',
      'programs',
      'workflows/messages',
    ],
    'Activities are the bridge to the world; they do not know workflows or the API.',
  ],
  [
    'api',
    [
      'api',
      'store',
      'record',
      'templates',
      'model',
      'config',
      'workflows/messages',
      'workflows/procedures',
      'programs/log',
      'wire/payloads',
    ],
    'api/ validates, authorises and translates; it starts effects only through Temporal.',
  ],
  ['wire', ['wire'], 'wire/ only knows how payloads travel to Temporal.'],
  [
    'notify',
    ['notify', 'store', 'templates', 'config', 'model', 'programs/redact', 'programs/within'],
    'notify/ sends what the store has for people; it knows neither runs nor the API.',
  ],
  ['templates', ['templates', 'model'], 'Templates render what the model computed.'],
  ['config', ['config', 'model'], 'Configuration is read before anything else exists.'],
  [
    'cli',
    ['cli', 'api/schemas', 'stack', 'config', 'model'],
    'The CLI is a client of the API, plus the commands of stack/.',
  ],
];
const folders = [
  'model',
  'programs',
  'workflows',
  'activities',
  'platforms',
  'disks',
  'replication',
  'vault',
  'record',
  'store',
  'config',
  'api',
  'cli',
  'stack',
  'worker',
  'wire',
  'templates',
  'test',
  'bench',
  'tools',
];
const noTemporal = [
  'model',
  'platforms',
  'disks',
  'replication',
  'record',
  'store',
  'programs',
  'templates',
  'config',
  'cli',
  'notify',
  'notify',
];

/** Its hooks stay in the process that calls it. */
const noReplay = ['runReplayHistory', 'runReplayHistories'].map((property) => ({
  ...{ object: 'Worker', property },
  message:
    'It slows everything that comes after it in this process: take replays (test/support/replays.ts), which says why.',
}));
const noAny = {
  ...{ object: 'AbortSignal', property: 'any' },
  message: 'A limit of time in it may never come: take within (programs/within.ts), which says why.',
};

const layerRules = layers.map(([folder, allowed, why]) => ({
  files: [`${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          ...folders
            .filter((other) => !allowed.includes(other) && other !== folder)
            .map((other) => ({
              regex: `^(\\.\\./)+${other}/(?!(${
                allowed
                  .filter((a) => a.startsWith(`${other}/`))
                  .map((a) => a.slice(other.length + 1))
                  .join('|') || '$^'
              })(/|$))`,
              message: why,
            })),
          ...(noTemporal.includes(folder)
            ? [{ regex: '^@temporalio/', message: `${folder}/ does not know Temporal. ${why}` }]
            : []),
          ...(folder === 'workflows'
            ? [
                {
                  regex: '^(node:|zod|\\.\\./model/schema)',
                  message: 'Workflow code is replayed in a sandbox: no Node modules, no schema libraries.',
                },
              ]
            : []),
          ...(folder === 'store' ? [] : [{ regex: '^(knex|pg)$', message: 'SQL lives in store/ only.' }]),
        ],
      },
    ],
  },
}));

export default ts.config(
  { ignores: ['node_modules/', 'test/replay/histories/', '**/*.d.ts'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  {
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        Buffer: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
        module: 'writable',
        require: 'readonly',
        __dirname: 'readonly',
        URL: 'readonly',
        AbortSignal: 'readonly',
        AbortController: 'readonly',
        fetch: 'readonly',
      },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'max-lines': ['error', { max: 300 }],
      'max-lines-per-function': ['warn', { max: 80, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
    },
  },
  ...layerRules,
  { files: ['**/*.ts', '**/*.mjs'], rules: { 'no-restricted-properties': ['error', noAny, ...noReplay] } },
  { files: ['test/support/replays.ts'], rules: { 'no-restricted-properties': ['error', noAny] } },
  { files: ['model/**/*.ts', 'workflows/**/*.ts'], rules: { 'no-restricted-globals': ['error', 'setImmediate'] } },
  {
    files: ['model/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'model/ has no clock: take the time as a parameter.' },
        { object: 'Math', property: 'random', message: 'model/ has no randomness.' },
        noAny,
      ],
    },
  },
  {
    files: ['api/**/*.ts'],
    ignores: ['api/temporal/acts.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'MemberExpression[property.name=/^(executeUpdate|startUpdate)$/]',
          message: 'An update comes with a knock: take sendUpdate (api/temporal/acts.ts), which says why.',
        },
      ],
    },
  },
  { files: ['cli/**', 'stack/**', 'tools/**', 'bench/**', 'worker/**'], rules: { 'no-console': 'off' } },
  { files: ['test/**', 'bench/**'], rules: { 'max-lines': ['error', { max: 400 }], 'max-lines-per-function': 'off' } },
  { files: ['**/*.js', '**/*.mjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
