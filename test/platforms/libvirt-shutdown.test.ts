/**
 * How a guest on libvirt is asked to shut down when it does not listen at first. In place of virsh stands a program that keeps the
 * machine's state in a file, because a real guest is deaf only now and then.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLibvirtPlatform } from '../../platforms/libvirt/platform';

const path = process.env['PATH'];
const uuid = '00000000-0000-4000-8000-000000000001';
const definition = `<domain type='qemu'><name>app01</name><uuid>${uuid}</uuid><memory>65536</memory><vcpu>1</vcpu>
  <os><type machine='pc'>hvm</type></os><devices><channel type='unix'>
  <target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel></devices></domain>`;
let folder: string;
const at = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-shutdown-'));
  writeFileSync(at('state'), 'running\n');
  writeFileSync(at('definition'), definition);
  process.env['PATH'] = `${folder}:${path}`;
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
});

/** `shutdown`: shell that is run for each time the machine is asked; what it was asked with is kept in `asked`. */
function openSite(shutdown: string) {
  writeFileSync(
    at('virsh'),
    `#!/bin/sh
case "$*" in
*' list '*) echo '${uuid} app01' ;;
*dumpxml*) cat '${at('definition')}' ;;
*domstate*) cat '${at('state')}' ;;
*shutdown*) echo "$*" >> '${at('asked')}'; ${shutdown} ;;
*) echo "error: unexpected: $*" >&2; exit 1 ;;
esac
`,
  );
  chmodSync(at('virsh'), 0o755);
  return createLibvirtPlatform({ id: 'hall', uri: 'qemu:///system', consoleFolder: folder, networks: {} });
}
const app01 = { name: 'app01', owner: null };
const asked = (): string[] => (existsSync(at('asked')) ? readFileSync(at('asked'), 'utf8').trim().split('\n') : []);
const deaf = `echo 'error: Guest agent is not responding: Guest agent not available for now' >&2; exit 1`;

test('a guest that is too busy to hear it is asked again until it is off', async () => {
  const secondTime = `[ "$(wc -l < '${at('asked')}')" -gt 1 ] && { echo 'shut off' > '${at('state')}'; exit 0; }`;
  await openSite(`${secondTime}; ${deaf}`).power(app01, 'shutdown', { deadlineMs: 25_000 });
  expect(asked()).toHaveLength(2);
  // The power button is pressed where the agent does not do it.
  for (const question of asked()) expect(question).toContain('--mode agent,acpi');
});

test('one that never shuts down is reported with what it said', async () => {
  const power = openSite(deaf).power(app01, 'shutdown', { deadlineMs: 700 });
  await expect(power).rejects.toThrow(
    /app01 does not shut down: found on after 700 ms; when it was asked: .*Guest agent not available for now/,
  );
});

test('a refusal for good is said at once', async () => {
  const power = openSite(`echo 'error: Permission denied' >&2; exit 1`).power(app01, 'shutdown', {
    deadlineMs: 25_000,
  });
  await expect(power).rejects.toThrow(/app01 cannot be shut down: found Permission denied/);
  expect(asked()).toHaveLength(1);
});
