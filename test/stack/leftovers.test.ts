import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRegister, readRegister } from '../../stack/leftovers';

test('parts that are started, and started again, in the same moment all stand in the register, each as it was last', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-register-'));
  try {
    const file = join(folder, 'parts.json');
    const register = openRegister(file);
    const names = ['Temporal', 'Postgres', 'the worker', 'the API'];
    const started = [1, 2, 3, process.pid].flatMap((pid) => names.map((name) => ({ name, pid })));
    await Promise.all(started.map(register));
    const { parts } = (await readRegister(file))!;
    expect(parts.map(({ name, pid }) => ({ name, pid }))).toEqual(names.map((name) => ({ name, pid: process.pid })));
    expect(await readdir(folder)).toEqual(['parts.json']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
