/**
 * Bad input at the API's door: refused with where and what is needed, never with 5xx, and nothing is stored. What the
 * door lets in is shown safely everywhere: that is in hostile-words.slow.test.ts.
 */
import { caller, newRecovery, newServer, openTestStack, type Call, type TestStack } from '../api/stack';

let stack: TestStack;
let call: Call & { app: ReturnType<typeof caller>['app'] };

beforeAll(async () => {
  stack = await openTestStack();
  call = caller(stack);
  await stack.saveServer('app01');
}, 60_000);
afterAll(() => stack?.close());

const hostile: Record<string, string> = {
  spaces: 'a b',
  quotes: `a'b"c`,
  newline: 'a\nb',
  'a way out of the folder': '../../etc/passwd',
  NUL: 'a\u0000b',
  '300 characters': 'x'.repeat(300),
  emoji: 'app😀',
  'text direction': 'app\u202egnp',
  'a lone surrogate': 'app\ud800',
  'an option': '-rf',
  'a format': 'app%s%n',
  HTML: '<img src=x onerror=alert(1)>',
  'terminal escapes': 'app\u001b[2J',
  'a dot': '.',
  nothing: '',
};

interface Answer {
  status: number;
  body: { type: string; detail: string; issues?: { at: string; message: string }[] };
}

/** 400 that says where and what is needed, in words that are safe to print. */
function expectRefused(answer: Answer, at: string): void {
  expect([answer.status, answer.body.type]).toEqual([400, 'urn:muster:problem:validation']);
  expect(answer.body.issues!.map((issue) => issue.at)).toContain(at);
  // eslint-disable-next-line no-control-regex
  expect(answer.body.detail).not.toMatch(/[\u0000-\u001f\u202e\ud800]/);
}

const post = (path: string, body: unknown) =>
  call('POST', path, { body, headers: { 'idempotency-key': `key-${Math.random()}` } });

describe.each(Object.entries(hostile))('a name with %s', (_what, text) => {
  test.each([
    ['a server’s name', '/servers', { ...newServer('x'), name: text }, 'body.name'],
    [
      'a source machine',
      '/servers',
      { ...newServer('x'), source: { siteId: 'dr', machineName: text } },
      'body.source.machineName',
    ],
    ['a site', '/servers', { ...newServer('x'), recoverySiteId: text }, 'body.recoverySiteId'],
    ['a new machine', '/recoveries', newRecovery('app01', { machineName: text }), 'body.machineName'],
    ['a point', '/recoveries', newRecovery('app01', { point: text }), 'body.point'],
  ])('is refused as %s', async (_field, path, body, at) => {
    expectRefused(await post(path, body), at);
  });
});

/** These may hold spaces and foreign letters; what no record or terminal can hold is refused. */
describe.each(['NUL', 'text direction', 'a lone surrogate', 'terminal escapes', 'nothing'])(
  'a text with %s',
  (what) => {
    const text = hostile[what]!;
    test.each([
      ['a reason', '/recoveries', newRecovery('app01', { reason: text }), 'body.reason'],
      ['a network', '/recoveries', newRecovery('app01', { networks: { lan: text } }), 'body.networks.lan'],
      [
        'a probe’s name',
        '/servers',
        { ...newServer('x'), probes: [{ name: text, command: ['/x'] }] },
        'body.probes.0.name',
      ],
      [
        'a probe’s program',
        '/servers',
        { ...newServer('x'), probes: [{ name: 'p', command: [text] }] },
        'body.probes.0.command.0',
      ],
      ['a person', '/tokens', { name: text, role: 'viewer' }, 'body.name'],
    ])('is refused as %s', async (_field, path, body, at) => {
      expectRefused(await post(path, body), at);
    });
  },
);

describe.each([
  ['zero', '0'],
  ['minus one', '-1'],
  ['one and a half', '1.5'],
  ['2^53', '9007199254740992'],
  ['2^63', '9223372036854775808'],
  ['1e400', '1e400'],
  ['a text', '"4G"'],
  ['nothing', 'null'],
])('a number that is %s', (_what, number) => {
  const recovery = (field: string) => JSON.stringify(newRecovery('app01')).replace('{', `{${field},`);
  const added = (field: string) => JSON.stringify(newServer('x')).replace('{', `{${field},`);
  const rows: [string, string, string, string][] = [
    ['memory', '/recoveries', recovery(`"memoryBytes":${number}`), 'body.memoryBytes'],
    ['processors', '/recoveries', recovery(`"cpuCount":${number}`), 'body.cpuCount'],
    ['a reminder', '/recoveries', recovery(`"reminderMs":${number}`), 'body.reminderMs'],
    [
      'points kept',
      '/servers',
      added(`"cadence":{"keepPoints":${number}}`).replace(/,"cadence":\{"pointEveryMs":1000\}/, ''),
      'body.cadence.keepPoints',
    ],
    [
      'a cadence',
      '/servers',
      added(`"cadence":{"pointEveryMs":${number}}`).replace(/,"cadence":\{"pointEveryMs":1000\}/, ''),
      'body.cadence.pointEveryMs',
    ],
    [
      'an objective',
      '/servers',
      JSON.stringify(newServer('x')).replace('"rpoMs":15000', `"rpoMs":${number}`),
      'body.objectives.rpoMs',
    ],
  ];
  test.each(rows)('is refused for %s', async (_field, path, body, at) => {
    expectRefused(await post(path, body), at);
  });
});

test.each([
  ['a deadline longer than any timer', newRecovery('app01', { sourceDeadlineMs: 2 ** 31 }), 'body.sourceDeadlineMs'],
  ['a time that is none', newRecovery('app01', { lostAt: 'yesterday' }), 'body.lostAt'],
  ['a time in the next year', newRecovery('app01', { lostAt: '2999-01-01T00:00:00Z' }), 'body.lostAt'],
  [
    'hundreds of networks',
    newRecovery('app01', { networks: Object.fromEntries([...Array(300).keys()].map((n) => [`n${n}`, 'lan'])) }),
    'body.networks',
  ],
])('%s is refused', async (_what, body, at) => {
  expectRefused(await post('/recoveries', body), at);
});

test('a probe’s pattern that is none is refused', async () => {
  const probe = { name: 'p', command: ['/x'], expectOutput: '[' };
  expectRefused(await post('/servers', { ...newServer('x'), probes: [probe] }), 'body.probes.0.expectOutput');
});

test('two probes of one name are refused, because their evidence would have one name', async () => {
  const probe = { name: 'p', command: ['/x'] };
  expectRefused(await post('/servers', { ...newServer('x'), probes: [probe, probe] }), 'body.probes');
});

describe('a body that is not what it says', () => {
  const bytes = (body: Buffer | string, type = 'application/json') =>
    call.app.request('/api/v1/servers', {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.tokens.admin}`, 'content-type': type },
      body,
    });
  const wellFormed = JSON.stringify(newServer('x'));
  test.each([
    ['50 MB', Buffer.alloc(50 * 1024 * 1024, 0x20), 'application/json', 413],
    ['deeply nested', '['.repeat(100_000) + ']'.repeat(100_000), 'application/json', 400],
    ['nested under an unknown key', `{"x":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'application/json', 400],
    ['another type', wellFormed, 'text/plain', 415],
    ['no type', wellFormed, '', 415],
    [
      'invalid UTF-8',
      Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      'application/json',
      400,
    ],
    ['UTF-16', Buffer.from(wellFormed, 'utf16le'), 'application/json', 400],
    ['an unknown key', wellFormed.replace('{', '{"surprise":1,'), 'application/json', 400],
    ['a key for the prototype', wellFormed.replace('{', '{"__proto__":{"tier":1},'), 'application/json', 400],
    ['null', 'null', 'application/json', 400],
    ['a list', '[]', 'application/json', 400],
    ['nothing', '', 'application/json', 400],
  ])('%s is refused', async (_what, body, type, status) => {
    const response = await bytes(body, type);
    expect(response.status).toBe(status);
    const problem = (await response.json()) as { type: string; detail: string };
    expect(problem.type).toMatch(/^urn:muster:problem:/);
    expect(problem.detail).toMatch(/needed|Unrecognized|expected|cannot be read/i);
  });
});

test.each(['%00', 'a%00b', '%ED%A0%80', '..%2F..%2Fetc', '%22', 'x'.repeat(5000), '%F0%9F%98%80', '%1b%5B2J'])(
  'an address with %s answers 400 or 404 and prints nothing raw',
  async (name) => {
    for (const path of [
      `/servers/${name}`,
      `/servers/${name}/replica`,
      `/runs/${name}`,
      `/runs?server=${name}`,
      `/evidence/${name}`,
    ]) {
      const answer = await call('GET', path);
      expect([path, [200, 400, 404].includes(answer.status)]).toEqual([path, true]);
      // eslint-disable-next-line no-control-regex
      expect(String(answer.body.detail ?? '')).not.toMatch(/[\u0000-\u001f]/);
    }
  },
);

test('nothing of all this was stored', async () => {
  const { body } = await call('GET', '/servers');
  expect(body.items.map((server: { name: string }) => server.name)).toEqual(['app01']);
  expect((await call('GET', '/runs')).body.items).toEqual([]);
});
