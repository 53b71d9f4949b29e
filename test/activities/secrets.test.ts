import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecrets } from '../../activities/secrets';
import { parseSecretRef, type SecretRef } from '../../model/secrets';

const canary = 'c4n4ry-secret';
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-secrets-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secrets = () =>
  createSecrets({ folder, environment: { MUSTER_SECRET_A: `${canary}\n`, MUSTER_TOKEN: canary, MUSTER_SECRET_B: '' } });
const file = (name: string, content: string | Buffer, mode = 0o600) => {
  writeFileSync(join(folder, name), content);
  chmodSync(join(folder, name), mode);
  return { from: 'file', name } satisfies SecretRef;
};
const variable = (name: string): SecretRef => ({ from: 'environment', name });

test('a file and a variable give their bytes, without one line break at the end', async () => {
  expect((await secrets()(file('plain', canary))).toString()).toBe(canary);
  expect((await secrets()(file('line', `${canary}\n`))).toString()).toBe(canary);
  expect((await secrets()(file('lines', `${canary}\n\n`))).toString()).toBe(`${canary}\n`);
  expect(await secrets()(file('binary', Buffer.from([0, 10, 255])))).toEqual(Buffer.from([0, 10, 255]));
  expect((await secrets()(variable('MUSTER_SECRET_A'))).toString()).toBe(canary);
});

test.each<[string, () => SecretRef, RegExp]>([
  ['a missing file', () => ({ from: 'file', name: 'gone' }), /file:gone .*no file .*gone.*mode 0600/],
  ['a file that others can read', () => file('open', canary, 0o640), /mode 0640.*chmod 0600/],
  ['a file that is too large', () => file('large', canary.repeat(1000)), /13000 bytes.*at most 8192/],
  ['an empty file', () => file('empty', '\n'), /nothing in it/],
  ['a missing variable', () => variable('MUSTER_SECRET_C'), /environment:MUSTER_SECRET_C .*no such variable/],
  ['an empty variable', () => variable('MUSTER_SECRET_B'), /nothing in it/],
  ['a variable of something else', () => variable('MUSTER_TOKEN'), /starts with MUSTER_SECRET_/],
  ['a name that leads out of the folder', () => ({ from: 'file', name: '../plain' }), /leads elsewhere/],
])('%s is an OperatorError that names the reference and shows no secret', async (_what, ref, message) => {
  const error = await secrets()(ref()).then(
    () => undefined,
    (caught: Error) => caught,
  );
  expect(error).toMatchObject({ name: 'OperatorError', message: expect.stringMatching(message) as string });
  expect(JSON.stringify(error) + error!.message).not.toContain(canary);
});

test('links and folders are no secrets', async () => {
  file('target', canary);
  symlinkSync(join(folder, 'target'), join(folder, 'link'));
  mkdirSync(join(folder, 'sub'), { mode: 0o700 });
  await expect(secrets()({ from: 'file', name: 'link' })).rejects.toMatchObject({ name: 'OperatorError' });
  await expect(secrets()({ from: 'file', name: 'sub' })).rejects.toThrow('no file');
});

test('references are written file:NAME or environment:NAME and nothing else', () => {
  expect(parseSecretRef('file:app01-disk.key')).toEqual({ from: 'file', name: 'app01-disk.key' });
  for (const text of ['hunter2', 'file:', 'file:../x', 'file:a/b', 'File:a', 'file:a\nb']) {
    expect(parseSecretRef(text)).toBeNull();
  }
});
