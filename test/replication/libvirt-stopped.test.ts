/** A hold that is given up while it begins: libvirt goes on with the start (stopped.guest asks the real one). */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { whileHeldStill } from '../../replication/libvirt-stopped';
import type { Virsh } from '../../replication/virsh';
import { fakeVirsh } from './support/fake-virsh';

const { at, does } = fakeVirsh();

/** A start that takes so long, and goes on when virsh is ended. */
function slowStart(seconds: number): void {
  writeFileSync(at('state'), 'shut off (destroyed)');
  does(`setsid sh -c 'sleep ${seconds}; echo "paused (user)" > ${at('state')}' &
exec sleep 60
`);
}
const state = () => readFileSync(at('state'), 'utf8').trim();
const virsh: Virsh = async ([command]) => {
  if (command === 'domstate') return state();
  if (!state().startsWith('paused')) throw new Error('domain is not running');
  writeFileSync(at('state'), 'shut off (destroyed)');
  return '';
};

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
