/** Whole runs as events: what reports, views and clocks are tested on. Each is a pure function of nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecoveryOrder } from '../../model/order';
import type { AttemptFacts, EvidenceFile } from './events';
import { evidenceRef, failure, Story } from './events';
import { ines, makeOrder, storyServer, tomas } from './order';

const GiB = 1024 ** 3;

export const screenshot: EvidenceFile = {
  what: 'Screenshot of the recovered machine',
  name: 'screen.png',
  mediaType: 'image/png',
  content: readFileSync(join(__dirname, 'console.png')),
};

export const initramfsConsole: EvidenceFile = {
  what: 'Serial console of the machine that did not boot',
  name: 'console.txt',
  mediaType: 'text/plain',
  content: Buffer.from(
    'Begin: Running /scripts/local-block ... done.\n'.repeat(6) +
      'Gave up waiting for root file system device.\n' +
      'ALERT!  UUID=5c2b1f0e-93a1-4f0a-8f2f-3c1b6c1f7a11 does not exist.  Dropping to a shell!\n\n' +
      'BusyBox v1.35.0 (Debian 1:1.35.0-4+b3) built-in shell (ash)\n\n(initramfs) \n',
  ),
};

const manifest: EvidenceFile = {
  what: 'Manifest of the recovery point',
  name: 'manifest.json',
  mediaType: 'application/json',
  content: Buffer.from('{"format":1,"pointId":"01959238-3d11-7d0e-8a40-2f6d1c9b5e21","sequence":4182}\n'),
};

const point = {
  point: {
    pointId: '01959238-3d11-7d0e-8a40-2f6d1c9b5e21',
    takenAt: '2026-03-14T02:06:47.310Z',
    consistency: 'crash',
    clockSkewMs: -12,
  },
  finalCycle: 'source-unreachable',
  sourceStopped: false,
};

/** Steps 1 to 4: what every story begins with. */
function upToSignature(story: Story): Story {
  story.step('preflight', { tookMs: 2_310, result: { pointId: point.point.pointId, checks: [] } });
  story.step('freeze', { tookMs: 20_140, result: point, evidence: [manifest] });
  story.step('take-disks', { tookMs: 611, result: [] });
  return story.eachDisk('apply-signature', { tookMs: 1_870, result: [] });
}

function upToPowerOn(story: Story): Story {
  story.step('suspend-replication', { tookMs: 95 });
  story.step('create-machine', { tookMs: 840, result: { name: story.order.target.machineName } });
  story.eachDisk('hand-over', { tookMs: 320 });
  story.eachDisk('register-disks', { tookMs: 210, result: { sizeBytes: 3 * GiB, format: 'qcow2' } });
  return story.eachDisk('release-disks', { tookMs: 130, result: { restarted: false } });
}

function inoculateAndSkipRegistry(story: Story): Story {
  story.step('inoculate', { tookMs: 23_640, result: { inoculator: 'linux-initramfs-tools' } });
  return notApplicable(story);
}

function notApplicable(story: Story): Story {
  const because = 'Debian GNU/Linux 12 has no registry.';
  return story.announce('update-registry').emit('step-not-applicable', { because }, { step: 'update-registry' });
}

function proof(story: Story, tookMs: number): AttemptFacts {
  const provenAt = new Date(Date.parse(story.at) + tookMs - 120).toISOString();
  const rung = (name: string, detail: string, evidence: EvidenceFile[] = []) => ({
    name,
    ok: true,
    detail,
    evidence: evidence.map(evidenceRef),
  });
  const rungs = [
    rung('powered-on', 'The platform says: on.'),
    rung('heartbeat', 'The guest agent answered after 57.2 s.'),
    rung('stable', 'Up for 30.0 s with one boot id.'),
    rung('service', 'ledger: exit code 0, output "counter 20417".'),
    rung('screenshot', 'Taken at the login prompt.', [screenshot]),
  ];
  return { tookMs, result: { rungs, provenAt }, evidence: [screenshot] };
}

function proveAndResume(story: Story): Story {
  story.step('power-on', { tookMs: 1_240 });
  story.step('prove-boot', proof(story, 93_480));
  return story.step('resume-replication', { tookMs: 4_020, result: { state: 'source-unreachable' } });
}

/** Everything at once, except one attempt that the storage refused and one lost worker. */
export function succeededStory(order: RecoveryOrder = makeOrder()): Story {
  const story = upToSignature(new Story(order));
  story.announce('inoculate');
  story.attempt('inoculate', {
    tookMs: 14_020,
    failure: failure('LostWorker', 'The worker stopped answering in the middle of the attempt.'),
    nextDelayMs: 1_000,
  });
  story.attempt('inoculate', { tookMs: 23_640, result: { inoculator: 'linux-initramfs-tools' } });
  story.emit('step-done', { result: { inoculator: 'linux-initramfs-tools' } }, { step: 'inoculate' });
  notApplicable(story);
  upToPowerOn(story);
  return proveAndResume(story).close('succeeded', 'app01 was recovered as app01-recovered and its boot was proven.');
}

/** Not inoculated: the boot is not proven, and an engineer sends the run back to inoculate. The power-on waits for people. */
export function stuckThenRetriedStory(): Story {
  const story = upToSignature(new Story(makeOrder({ inoculate: false, powerOn: 'decision' })));
  story
    .announce('inoculate')
    .emit('step-not-applicable', { because: 'The order says: without inoculation.' }, { step: 'inoculate' });
  notApplicable(story);
  upToPowerOn(story);
  story.announce('power-on');
  const gate = story.gate('power-on', 'Power the machine on?', 'The order says: behind a decision.');
  story.pass(48_200).decide(gate, 'approve', 'Berlin confirmed down by phone.', { by: tomas });
  story.attempt('power-on', { tookMs: 1_180 }).emit('step-done', { result: null }, { step: 'power-on' });
  story.announce('prove-boot');
  const notBooted = failure(
    'OperatorError',
    'app01-recovered did not boot: found no heartbeat for 5 min 00 s and "ALERT! UUID=5c2b1f0e-93a1-4f0a-8f2f-3c1b6c1f7a11 does not exist" on its console, needed a heartbeat. The drivers of its new disk controller are missing: inoculate and try again.',
    {
      remedy: 'muster retry RUN --from inoculate --set inoculate=true --reason …',
      detail: '(initramfs)',
    },
  );
  story.attempt('prove-boot', { tookMs: 300_410, failure: notBooted, evidence: [initramfsConsole] });
  const stuck = story.park('prove-boot', notBooted);
  story.pass(130_000);
  story.emit(
    'decision-refused',
    { decision: 'skip', because: 'A decision needs a reason: it stands in the record.' },
    { step: 'prove-boot', by: ines },
  );
  story.pass(81_500).decide(stuck, 'retry', 'Console shows the initramfs shell: pvscsi driver missing.', {
    from: 'inoculate',
    input: { inoculate: true },
  });
  story.emit('rewound', { from: 'power-on', to: 'inoculate' }, { step: 'inoculate' });
  story.undo('power-on', { tookMs: 640 });
  for (const item of ['disk1', 'disk0']) story.undo('register-disks', { item, tookMs: 90 });
  for (const item of ['disk1', 'disk0']) story.undo('hand-over', { item, tookMs: 240 });
  story.undo('create-machine', { tookMs: 310 }).undo('suspend-replication', { tookMs: 80 });
  inoculateAndSkipRegistry(story);
  upToPowerOn(story);
  return proveAndResume(story).close('succeeded', 'app01 was recovered as app01-recovered and its boot was proven.');
}

/** One disk could not be registered; a person skipped it. */
export function skippedStory(): Story {
  const story = inoculateAndSkipRegistry(upToSignature(new Story()));
  story.step('suspend-replication').step('create-machine').eachDisk('hand-over', { tookMs: 320 });
  story.announce('register-disks');
  const refused = failure(
    'TransientError',
    'disk1 cannot be registered: found "storage pool dr-data is not active", needed an active pool.',
    { remedy: 'Start the pool (`virsh pool-start dr-data`), then retry.' },
  );
  story.attempt('register-disks', { item: 'disk0', tookMs: 210 });
  for (const nextDelayMs of [2_000, 4_000, 8_000, null]) {
    story.attempt('register-disks', { item: 'disk1', tookMs: 5_020, failure: refused, nextDelayMs });
  }
  const stuck = story.park('register-disks', refused, { item: 'disk1' });
  story.pass(900_000).emit('reminded', { epoch: stuck, waitingMs: 900_000 }, { step: 'register-disks', item: 'disk1' });
  story.pass(412_000);
  const reason = 'Pool is a stale definition; disk1 opens fine through the machine. Ticket 8812.';
  story.decide(stuck, 'skip', reason, { by: tomas });
  story.emit('step-skipped', { reason }, { step: 'register-disks' });
  story.eachDisk('release-disks', { tookMs: 130 });
  return proveAndResume(story).close('succeeded-with-exceptions', 'app01 was recovered; one step was skipped.');
}

/** The name is taken; the engineer aborts, and one undo is itself stuck and skipped. */
export function abortedStory(): Story {
  const story = inoculateAndSkipRegistry(upToSignature(new Story(makeOrder({ lostAt: null }))));
  story.step('suspend-replication').announce('create-machine');
  const taken = failure(
    'OperatorError',
    'app01-recovered cannot be created: found a machine of this name without our tag, needed a free name.',
    { remedy: 'Rename that machine or provide another name.' },
  );
  story.attempt('create-machine', { tookMs: 700, failure: taken });
  story.park('create-machine', taken);
  story.pass(305_000).abort('Wrong recovery site: app01 belongs to Vienna.', tomas);
  story.undo('create-machine', { tookMs: 90 }).undo('suspend-replication', { tookMs: 80 });
  story.undo('apply-signature', { item: 'disk1', tookMs: 1_400 }).undo('apply-signature', { item: 'disk0' });
  const held = failure(
    'OperatorError',
    'the overlay of disk1 cannot be deleted: found it open in process 4182 (qemu-nbd), needed nobody.',
    { remedy: 'End that program, then retry.' },
  );
  story.attempt('take-disks', { undo: true, tookMs: 5_000, failure: held });
  const stuck = story.park('take-disks', held, { undo: true, allowed: ['retry', 'skip'] });
  story.pass(64_000).decide(stuck, 'skip', 'Backup of the night is reading it; I delete the overlay at 06:00.');
  story.emit('step-undone', {}, { step: 'take-disks' });
  story.undo('freeze', { tookMs: 900 });
  return story.close('aborted', 'Aborted: Wrong recovery site: app01 belongs to Vienna. Not undone: take-disks.');
}

/** Waits for people now. */
export function stuckStory(): Story {
  const story = inoculateAndSkipRegistry(upToSignature(new Story()));
  const { token } = story.announce('suspend-replication').start('suspend-replication');
  story.pass(8_000);
  const refused = failure('PermanentError', 'the hold of app01 cannot be written: found a read-only file system.');
  story.emit(
    'attempt-failed',
    { token, undo: false, failure: refused, nextDelayMs: null },
    {
      step: 'suspend-replication',
      attempt: 1,
    },
  );
  story.park('suspend-replication', refused);
  return story.pass(61_000);
}

/** Names and output as an attacker would choose them. */
export function hostileStory(): Story {
  const name = '<script>alert(1)</script>\u001b[31mapp\u202e01';
  const order = makeOrder({
    reason: '"><img src=x onerror=alert(1)>',
    server: { ...storyServer, name, os: { ...storyServer.os, prettyName: '{{constructor}} \u001b]0;x\u0007' } },
  });
  const story = upToSignature(new Story(order));
  story.announce('inoculate');
  const cause = failure('OperatorError', `cannot read ${name}`, {
    remedy: '</style><b>x</b>',
    detail: '\u0000\u009b2J',
  });
  const log = {
    what: '<i>log</i>',
    name: '../../etc/<passwd>',
    mediaType: 'text/html',
    content: Buffer.from('<b>\u001b[2Jhi</b>'),
  };
  const picture = {
    ...log,
    name: 'x.svg',
    mediaType: 'image/svg+xml"><script>',
    content: Buffer.from('<svg onload=alert(1)>'),
  };
  story.attempt('inoculate', { failure: cause, evidence: [log, picture] });
  const epoch = story.park('inoculate', cause);
  return story.pass(1_000).decide(epoch, 'skip', '<iframe src=//example.invalid>', {
    by: { ...ines, actor: { ...ines.actor, name: "O'Brien <b>" } },
  });
}
