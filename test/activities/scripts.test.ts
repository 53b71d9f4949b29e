/** A runbook's script as one attempt of its effect: what may run, with what, how it ends and what is kept of what it says. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt } from '../../activities/attempt';
import type { ScriptInput, ScriptResult } from '../../activities/contract';
import { createScriptEffects } from '../../activities/scripts/effects';
import { secretForms, shownOutput } from '../../activities/scripts/output';
import { listPrograms } from '../../activities/scripts/programs';
import { createSecrets } from '../../activities/secrets';
import type { RecoverySite } from '../../activities/site';
import type { Script } from '../../model/runbook/runbook';
import { makeOrder } from '../support/order';
import { isRunning } from '../support/processes';

let folder: string;
let kept: Record<string, string>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-scripts-'));
  for (const name of ['programs', 'secrets', 'leases']) await mkdir(join(folder, name), { mode: 0o755 });
  kept = {};
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const order = makeOrder();
const { tenantId, coreId, runId } = order;

async function program(name: string, text: string, mode = 0o755): Promise<void> {
  await writeFile(join(folder, 'programs', name), text);
  await chmod(join(folder, 'programs', name), mode);
}

const script = (changes: Partial<Script> & { program?: string; args?: string[] } = {}): Script => {
  const { program: name = 'one', args = [], ...more } = changes;
  return {
    ...{ name: 'tell', when: 'before', at: { kind: 'step', step: 'power-on' }, servers: 'all', in: ['recovery'] },
    ...{ run: { on: 'worker', program: name, args }, environment: {}, timeoutMs: 20_000, attempts: 1, exitCodes: {} },
    ...more,
  };
};

interface More {
  readonly scriptsFolder?: string | null;
  readonly signal?: AbortSignal;
  readonly wave?: string;
}

function run(wanted: Script, { scriptsFolder, signal, wave }: More = {}): Promise<ScriptResult> {
  const site = { id: order.target.siteId, leaseFolder: join(folder, 'leases') } as RecoverySite;
  const effect = { tenantId, coreId, runId, step: 'power-on', item: 'script:tell', attempt: 1, token: 1, undo: false };
  const attempt: Attempt = {
    ...{ effect, signal: signal ?? new AbortController().signal, progress: () => undefined },
    keep: async (_what, bytes, name, mediaType) => {
      kept[name] = Buffer.from(bytes).toString();
      return { sha256: '', name, mediaType, sizeBytes: bytes.byteLength };
    },
  };
  const { runScript } = createScriptEffects({
    sites: { recovery: new Map([[site.id, site]]), source: new Map() },
    evidence: { put: () => Promise.reject(new Error('the attempt keeps evidence')) },
    secrets: createSecrets({ folder: join(folder, 'secrets'), environment: {} }),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    scriptsFolder: scriptsFolder === null ? undefined : (scriptsFolder ?? join(folder, 'programs')),
    now: Date.now,
  });
  const input: ScriptInput = { effect, order, script: wanted, wave: wave ?? null };
  return runScript(input, attempt);
}

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error('it ran')),
    (error: { family: string; message: string; facts: { remedy: string } }) => error,
  );

test('a script gets its arguments as they are, a clean environment, and an empty folder that is gone afterwards', async () => {
  process.env['MUSTER_TEST_LEAK'] = 'leaked';
  await program('one', '#!/bin/sh\nprintf "%s\\n" "$#" "$1" "$2"; env | sort; ls -A; pwd; touch left\n');
  const wanted = script({ args: ['$(id)', 'a b'], environment: { ROLE: 'primary' } });
  expect(await run(wanted)).toEqual({ exitCode: 0, meaning: 'done' });
  delete process.env['MUSTER_TEST_LEAK'];
  const lines = kept['script-tell-out.txt']!.trim().split('\n');
  expect(lines.slice(0, 3)).toEqual(['2', '$(id)', 'a b']);
  const cwd = lines.at(-1)!;
  expect(lines.slice(3, -1)).toEqual([
    ...[`HOME=${cwd}`, 'LC_ALL=C.UTF-8', 'MUSTER_ATTEMPT=1', `MUSTER_EFFECT=${runId}/power-on/tell`],
    ...['MUSTER_MACHINE=app01-recovered', 'MUSTER_MODE=recovery', `MUSTER_RUN_ID=${runId}`, 'MUSTER_SERVER=app01'],
    ...['MUSTER_SITE=frankfurt', 'MUSTER_STEP=power-on'],
    ...['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', `PWD=${cwd}`, 'ROLE=primary'],
    `TMPDIR=${cwd}`,
  ]);
  await expect(readdir(cwd)).rejects.toThrow('ENOENT');
});

test('a wave’s script is told its wave and no server', async () => {
  await program('one', '#!/bin/sh\nenv\n');
  await run(script(), { wave: 'data' });
  expect(kept['script-tell-out.txt']).toContain('MUSTER_WAVE=data\n');
  expect(kept['script-tell-out.txt']).not.toContain('MUSTER_SERVER');
});

test.each([
  ['no folder is allowed', { scriptsFolder: null }, 'one', /no folder of programs .*scripts\.folder/],
  ['the folder is not there', { scriptsFolder: '/nowhere' }, 'one', /no such folder/],
  ['a path', {}, '../programs/one', /a plain name/],
  ['a hidden file', {}, '.hidden', /a plain name/],
  ['nothing of that name', {}, 'none', /no .*\/none/],
  ['a link out of the folder', {}, 'out', /leads to \/bin|leads to \/usr\/bin/],
  ['a folder', {}, 'sub', /is no file/],
  ['what others can write', {}, 'open', /can be written by others \(mode 777\)/],
  ['what cannot be run', {}, 'still', /cannot be run/],
])('a program is refused with a remedy, and nothing runs: %s', async (_why, more, name, words) => {
  for (const [file, mode] of [
    ['one', 0o755],
    ['.hidden', 0o755],
    ['open', 0o777],
    ['still', 0o644],
  ] as const) {
    await program(file, `#!/bin/sh\ntouch ${folder}/ran\n`, mode);
  }
  await mkdir(join(folder, 'programs', 'sub'));
  await symlink('/bin/true', join(folder, 'programs', 'out'));
  const error = await refusal(run(script({ program: name }), more));
  expect(error.family).toBe('OperatorError');
  expect(error.message).toMatch(words);
  expect(error.facts.remedy).toBeTruthy();
  expect(await readdir(folder)).not.toContain('ran');
});

test('a folder that others can write is refused, and what may run is listed with what may not', async () => {
  await program('one', '#!/bin/sh\n');
  await program('open', '#!/bin/sh\n', 0o757);
  await symlink('one', join(folder, 'programs', 'alias'));
  expect(await listPrograms(join(folder, 'programs'))).toEqual({
    programs: ['alias', 'one'],
    refused: [{ name: 'open', because: expect.stringContaining('can be written by others') }],
  });
  await chmod(join(folder, 'programs'), 0o777);
  expect((await refusal(run(script()))).message).toMatch(/programs can be written by others/);
});

test.each([
  [0, {}, { exitCode: 0, meaning: 'done' }],
  [3, { '3': 'warning' }, { exitCode: 3, meaning: 'warning' }],
  [4, { '4': 'done' }, { exitCode: 4, meaning: 'done' }],
] as const)('exit code %i is what the runbook says of it', async (code, exitCodes, expected) => {
  await program('one', `#!/bin/sh\nexit ${code}\n`);
  expect(await run(script({ exitCodes }))).toEqual(expected);
});

test.each([
  [5, {}, 'OperatorError'],
  [5, { '5': 'retry' }, 'TransientError'],
  [0, { '0': 'fail' }, 'OperatorError'],
] as const)('exit code %i with %j is a %s that says what it said last', async (code, exitCodes, family) => {
  await program('one', `#!/bin/sh\necho first >&2; echo disk is full >&2; exit ${code}\n`);
  const error = await refusal(run(script({ exitCodes })));
  expect(error.family).toBe(family);
  expect(error.message).toContain(`exit code ${code}: disk is full`);
  expect(kept['script-tell-err.txt']).toBe('first\ndisk is full\n');
});

test('secrets are given in the environment and never shown, in whatever form the program prints them', async () => {
  const secret = 'pä+ss/wo?rd "1"\nsecond line';
  await writeFile(join(folder, 'secrets', 'db'), secret, { mode: 0o600 });
  await program(
    'one',
    `#!/usr/bin/env python3
import base64, json, os, sys, urllib.parse
s = os.environ["DB_PASSWORD"]
b = s.encode()
for shown in [s, base64.b64encode(b).decode(), base64.urlsafe_b64encode(b).decode(), urllib.parse.quote(s, safe=""),
              urllib.parse.quote_plus(s), b.hex(), json.dumps(s, ensure_ascii=False),
              base64.b64encode(b"user:" + b + b"@host").decode(), base64.b64encode(b"me:" + b).decode()]:
    print("<" + shown + ">")
print("second line alone")
print(s, file=sys.stderr)
sys.exit(1)
`,
  );
  const error = await refusal(run(script({ environment: { DB_PASSWORD: { secret: 'file:db' } } })));
  const everything = JSON.stringify([kept, error.message]);
  expect(kept['script-tell-out.txt']).toMatch(/^<\[secret\]>\n/);
  const inner = Buffer.from(secret).toString('base64').slice(0, -4);
  for (const form of [secret, 'ss/wo?rd', inner, encodeURIComponent(secret), 'second line', 'ss%2Fwo', '2f776f']) {
    expect(everything).not.toContain(form);
  }
});

test.each([32 * 1024 + 1, 40 * 1024, 64 * 1024])('output of %i bytes is kept whole, once', async (bytes) => {
  await program('one', `#!/bin/sh\nhead -c ${bytes} /dev/zero | tr '\\0' a\n`);
  await run(script({}));
  expect(kept['script-tell-out.txt']).toBe('a'.repeat(bytes));
});

test('of endless output beginning and end are kept, and no secret is cut in two', async () => {
  await writeFile(join(folder, 'secrets', 'key'), 'SECRET0123456789', { mode: 0o600 });
  await program('one', '#!/bin/sh\nyes "$KEY" | head -c 2999991\n');
  await run(script({ environment: { KEY: { secret: 'file:key' } } }));
  const text = kept['script-tell-out.txt']!;
  expect(text).toContain(`[… ${2_999_991 - 64 * 1024} bytes left out …]`);
  expect(
    text
      .replaceAll('[secret]', '')
      .replace(/\[….*…\]/, '')
      .replaceAll('\n', ''),
  ).toBe('S');
  expect(Buffer.byteLength(text)).toBeLessThan(64 * 1024);
});

test.each(['SECRET0123456789', 'pä+ss word', 'again-again'])(
  'of an output that an agent cut off in the middle of a secret, nothing of it is shown',
  (secret) => {
    const whole = Buffer.from(secret);
    const forms = secretForms([whole]);
    for (let length = 1; length <= whole.length; length += 1) {
      const printed = Buffer.concat([Buffer.from(`<${secret}>\n`), whole.subarray(0, length)]);
      const head = Buffer.from(printed.toString('utf8'));
      expect(shownOutput({ head, tail: null, totalBytes: head.length }, forms, true)).toBe('<[secret]>\n[secret]');
    }
    const head = Buffer.from('nothing of it');
    expect(shownOutput({ head, tail: null, totalBytes: head.length }, forms, true)).toBe('nothing of it');
  },
);

test('control characters become harmless', async () => {
  await program('one', '#!/bin/sh\nprintf "a\\033[31mred\\033[0m \\007bell\\n"\n');
  await run(script());
  expect(kept['script-tell-out.txt']).toBe('ared \ufffdbell\n');
});

/** Whether the process whose number the script wrote there is gone. */
async function isGone(file: string): Promise<boolean> {
  return !(await isRunning((await readFile(join(folder, file), 'utf8')).trim()));
}

const starter = () => `#!/bin/sh\nsleep 600 &\necho $! > ${folder}/child\necho $$ > ${folder}/self\n`;

test('a time-out ends the script with everything that it started, and says that it may have done a part', async () => {
  await program('one', `${starter()}echo begun\nwait\n`);
  const error = await refusal(run(script({ timeoutMs: 5_000 })));
  expect(error).toMatchObject({ family: 'TransientError', message: expect.stringMatching(/not done after .*: begun/) });
  expect(error.facts.remedy).toContain('may have done a part');
  expect([await isGone('child'), await isGone('self')]).toEqual([true, true]);
});

test('what a script leaves behind in the background is ended with it', async () => {
  await program('one', starter());
  expect(await run(script())).toEqual({ exitCode: 0, meaning: 'done' });
  expect(await isGone('child')).toBe(true);
});

test('an abort of the run ends the script', async () => {
  await program('one', `${starter()}wait\n`);
  const controller = new AbortController();
  const running = refusal(run(script(), { signal: controller.signal }));
  while (!(await readdir(folder)).includes('self')) await new Promise((resolve) => setTimeout(resolve, 20));
  controller.abort(new Error('enough'));
  expect((await running).message).toBe('enough');
  expect([await isGone('child'), await isGone('self')]).toEqual([true, true]);
});

test.each(['LD_PRELOAD', 'BASH_ENV', 'PATH', 'MUSTER_RUN_ID', 'PYTHONPATH'])(
  'the variable %s cannot be set by a runbook',
  async (name) => {
    await program('one', '#!/bin/sh\n');
    expect((await refusal(run(script({ environment: { [name]: 'x' } })))).message).toContain(`the variable ${name}`);
  },
);
