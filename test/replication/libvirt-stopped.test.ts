/** A hold that is given up while it begins: libvirt goes on with the start (stopped.guest asks the real one). */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { whileHeldStill } from '../../replication/libvirt-stopped';
import type { Virsh } from '../../replication/virsh';

let folder: string;
const before = process.env['PATH'];

/** `virsh` whose start takes so long, and goes on when virsh is ended. */
function slowStart(seconds: number): void {
  writeFileSync(join(folder, 'state'), 'shut off (destroyed)');
  const script = `#!/bin/sh
setsid sh -c 'sleep ${seconds}; echo "paused (user)" > ${join(folder, 'state')}' &
exec sleep 60
`;
  writeFileSync(join(folder, 'virsh'), script);
  chmodSync(join(folder, 'virsh'), 0o755);
}
const state = () => readFileSync(join(folder, 'state'), 'utf8').trim();
const virsh: Virsh = async ([command]) => {
  if (command === 'domstate') return state();
  if (!state().startsWith('paused')) throw new Error('domain is not running');
  writeFileSync(join(folder, 'state'), 'shut off (destroyed)');
  return '';
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-hold-'));
  process.env['PATH'] = `${folder}${delimiter}${before}`;
});
afterEach(() => {
  process.env['PATH'] = before;
  rmSync(folder, { recursive: true, force: true });
});

test('given up before libvirt has started it, the machine is off all the same', async () => {
  slowStart(1);
  const work = jest.fn(async () => 'copied');
  const held = whileHeldStill(
    { uri: 'test:///default', virsh, uuid: 'u', name: 'app01' },
    work,
    AbortSignal.timeout(200),
  );
  await expect(held).rejects.toThrow();
  await sleep(1_500);
  expect([state(), work.mock.calls.length]).toEqual(['shut off (destroyed)', 0]);
});
