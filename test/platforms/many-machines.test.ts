/** A site with more machines than a process may have open files. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { readJson } from '../../platforms/json-file';
import { seedMachine } from '../../platforms/simulated/seed';

const machines = 600;
const openFiles = 400;
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'muster-many-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('many who list it at once see all of it, within the limit of open files', async () => {
  await seedMachine(folder, { name: 'server-0' });
  const one = join(folder, 'machines', 'server-0.json');
  const text = JSON.stringify(await readJson(one));
  await mkdir(join(folder, 'replicas'), { recursive: true });
  for (let n = 0; n < machines; n++) {
    await writeFile(join(folder, 'machines', `server-${n}.json`), text.replaceAll('server-0', `server-${n}`));
    const replica = join(folder, 'replicas', `id-${n}`);
    await mkdir(replica);
    await writeFile(join(replica, 'replica.json'), JSON.stringify({ serverId: `id-${n}`, serverName: `server-${n}` }));
  }
  const script = join(__dirname, 'support', 'list-site.ts');
  const limited = ['--nofile=' + openFiles, process.execPath, '--import', 'tsx', script, folder];
  const { stdout, stderr } = await execa('prlimit', limited, { reject: false });
  expect([stderr, stdout === '' ? null : JSON.parse(stdout)]).toEqual(['', Array(8).fill([machines, machines])]);
}, 60_000);
