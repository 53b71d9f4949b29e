/** When a copy asks whether its guest is frozen: not again while this process knows, and again where the guest was silent. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createLibvirtSource } from '../../replication/libvirt-source';
import { fakeVirsh } from './support/fake-virsh';

const { at, does } = fakeVirsh();

/** A host with one machine, whose agent answers unless it is silent. */
const host = () => `echo "$*" >> ${at('calls')}
case "$*" in
*dumpxml*) cat ${at('machine.xml')} ;;
*--completed*) echo 'Job type:         Completed' ;;
*domjobinfo*) echo 'Job type:         None' ;;
*backup-begin*) touch ${at('copy.qcow2')} ;;
*qemu-agent-command*)
  if [ -s ${at('silent')} ]; then echo 'error: Guest agent is not responding: Guest agent not available for now' >&2; exit 1; fi
  echo '{"return":"thawed"}' ;;
esac
`;
const machine = `<domain id='1'><name>app01</name><uuid>7b1f</uuid><memory unit='KiB'>1024</memory><vcpu>1</vcpu>
  <os><type>hvm</type></os><devices>
  <disk type='file' device='disk'><target dev='sda' bus='sata'/></disk>
  <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
</devices></domain>`;

test('a guest that did not answer is asked by every copy until it has', async () => {
  writeFileSync(at('machine.xml'), machine);
  does(host());
  let seconds = 0;
  const source = createLibvirtSource({ uri: 'test:///default', clock: Date.now, elapsed: () => seconds * 1000 });
  const asksAt = async (second: number, silent: boolean): Promise<boolean> => {
    seconds = second;
    writeFileSync(at('silent'), silent ? 'yes' : '');
    writeFileSync(at('calls'), '');
    const disks = [{ diskId: 'disk0', device: 'sda', file: at('copy.qcow2') }];
    await source.copy({ machineName: 'app01', checkpoint: 'c', since: null, disks, freezeFilesystems: false });
    return readFileSync(at('calls'), 'utf8').includes('guest-fsfreeze-status');
  };
  expect([await asksAt(0, false), await asksAt(8, false), await asksAt(16, false)]).toEqual([true, false, false]);
  expect([await asksAt(30, true), await asksAt(31, true), await asksAt(32, false)]).toEqual([true, true, true]);
  expect(await asksAt(33, false)).toBe(false);
});
