/** Which copies wait for a guest's agent. Domains as libvirt 9.0 describes them (libvirt.guest asks the real one). */
import type { OperatingSystem } from '../../model/server';
import { agentFirst, refuseBeforeAgent } from '../../replication/agent-to-come';
import { parseDomain } from '../../replication/libvirt-domain';

interface Look {
  /** libvirt's number of the machine's start; null: it is off. */
  readonly start: number | null;
  readonly agent?: 'connected' | 'disconnected';
}

const domainXml = ({ start, agent }: Look): string => `
  <domain type='kvm'${start === null ? '' : ` id='${start}'`}>
    <name>app01</name><uuid>7b1f</uuid><memory unit='KiB'>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os>
    <devices>
      <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0' state='disconnected'/></channel>
      ${agent === undefined ? '' : `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='${agent}'/></channel>`}
    </devices>
  </domain>`;

const refused = (look: Look, exceptInStart?: string | null) => {
  try {
    refuseBeforeAgent(
      'app01',
      parseDomain(domainXml(look)),
      exceptInStart === undefined ? undefined : { exceptInStart },
    );
    return false;
  } catch (error) {
    return (error as { family: string }).family;
  }
};

test('a guest that has not opened its channel is not copied yet; with no channel, or off, there is nothing to wait for', () => {
  expect(refused({ start: 3, agent: 'disconnected' }, null)).toBe('TransientError');
  expect(refused({ start: 3, agent: 'disconnected' }, '2')).toBe('TransientError');
  expect(refused({ start: 3, agent: 'disconnected' }, '3')).toBe(false);
  expect(refused({ start: 3, agent: 'disconnected' })).toBe(false);
  expect(refused({ start: 3, agent: 'connected' }, null)).toBe(false);
  expect(refused({ start: 3 }, null)).toBe(false);
  expect(refused({ start: null }, null)).toBe(false);
});

const source = { siteId: 'a', machineName: 'app01' };
const cadence = { pointEveryMs: 2_000, freezeEveryMs: 0, keepPoints: 5 };
const debian = { source, cadence, os: { family: 'linux', distribution: 'debian' } satisfies OperatingSystem };
const unknown = { source, cadence, os: { family: 'unknown' } satisfies OperatingSystem };
const now = Date.parse('2026-03-14T02:30:00Z');
/** @param withoutAgentIn the start that it was taken in before the agent had come */
const point = (heard: boolean, withoutAgentIn?: string, changes: { agoMs?: number; siteId?: string } = {}) => ({
  clockSkewMs: heard ? 3 : null,
  completedAt: new Date(now - (changes.agoMs ?? 2_000)).toISOString(),
  origin: { ...source, ...changes, ...(withoutAgentIn === undefined ? {} : { withoutAgentIn }) },
});

test.each([
  ['the first copy', unknown, [], { exceptInStart: null }],
  ['an agent that was heard with the newest point', debian, [point(true)], { exceptInStart: null }],
  ['one that was silent once', debian, [point(true), point(false)], { exceptInStart: null }],
  [
    'one that was waited for in vain, in another start',
    debian,
    [point(true), point(false, '1')],
    { exceptInStart: '1' },
  ],
  ['one that no kept point has heard', debian, [point(false, '1'), point(false, '1')], { exceptInStart: '1' }],
  [
    'one of long ago, whose number may have come again',
    debian,
    [point(false, '1', { agoMs: 65_000 })],
    { exceptInStart: null },
  ],
  ['one of another site’s machine', debian, [point(false, '1', { siteId: 'b' })], { exceptInStart: null }],
  ['none of a server that nobody knows an agent of', unknown, [point(false, '1')], undefined],
  ['one that came after the server was added', unknown, [point(true), point(false, '1')], { exceptInStart: '1' }],
])('waited for: %s', (_which, server, points, wanted) => {
  expect(agentFirst(server, points, now)).toEqual(wanted);
});
