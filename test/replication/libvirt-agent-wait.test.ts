/** A guest that starts, and the copy that waits for its agent. Domains as libvirt 9.0 describes them (libvirt.guest asks the real one). */
import { whenAgentIsHeard } from '../../replication/libvirt-agent-wait';
import { parseDomain } from '../../replication/libvirt-domain';

interface Look {
  /** Number of the machine's start; null: it is off. */
  readonly start: number | null;
  readonly agent?: 'connected' | 'disconnected';
}
const off: Look = { start: null };
const starting: Look = { start: 1, agent: 'disconnected' };
const up: Look = { start: 1, agent: 'connected' };
const withoutChannel: Look = { start: 1 };

const domainXml = ({ start, agent }: Look): string => `
  <domain type='kvm'${start === null ? '' : ` id='${start}'`}>
    <name>app01</name><uuid>7b1f</uuid><memory unit='KiB'>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os>
    <devices>
      <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0' state='disconnected'/></channel>
      ${agent === undefined ? '' : `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='${agent}'/></channel>`}
    </devices>
  </domain>`;

/** A host on which a look takes ten seconds; the last state stays. */
function host() {
  const seen = { looks: 0, seconds: 0 };
  const wait = { inVain: new Map<string, string>(), elapsed: () => seen.seconds * 1000, pollMs: 0 };
  const heard = async (limitMs: number, ...states: Look[]) => {
    seen.looks = 0;
    const look = async () => {
      seen.seconds += 10;
      return parseDomain(domainXml(states[Math.min(seen.looks++, states.length - 1)]!));
    };
    const { agent } = await whenAgentIsHeard(wait, look, limitMs);
    return `${agent} after ${seen.looks}`;
  };
  return { heard, wait };
}

test('it is waited for until it is there, and nothing where there is nothing to wait for', async () => {
  const { heard } = host();
  expect(await heard(180_000, starting, starting, up)).toBe('connected after 3');
  expect(await heard(180_000, up)).toBe('connected after 1');
  expect(await heard(180_000, withoutChannel)).toBe('null after 1');
  expect(await heard(180_000, off)).toBe('null after 1');
  expect(await heard(180_000, starting, off)).toBe('null after 2');
  expect(await heard(0, starting)).toBe('disconnected after 1');
});

test('one that does not come is waited for once for each start of its machine', async () => {
  const { heard } = host();
  expect(await heard(60_000, starting)).toBe('disconnected after 6');
  expect(await heard(60_000, starting)).toBe('disconnected after 1');
  expect(await heard(60_000, { ...starting, start: 2 })).toBe('disconnected after 6');
  expect(await heard(60_000, { ...starting, start: 2 })).toBe('disconnected after 1');
  // Heard and gone again: it may come again.
  expect(await heard(60_000, { ...up, start: 2 })).toBe('connected after 1');
  expect(await heard(60_000, { ...starting, start: 2 })).toBe('disconnected after 6');
});

test('who asked without patience has not waited in vain', async () => {
  const { heard } = host();
  await heard(0, starting);
  expect(await heard(60_000, starting, up)).toBe('connected after 2');
});

test('a run that wants the replica ends the wait', async () => {
  const held = new AbortController();
  const { wait } = host();
  const look = async () => {
    held.abort(new Error('a run holds the replica'));
    return parseDomain(domainXml(starting));
  };
  const waiting = whenAgentIsHeard({ ...wait, pollMs: 60_000 }, look, 180_000, held.signal);
  await expect(waiting).rejects.toThrow('a run holds the replica');
});
