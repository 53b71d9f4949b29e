/** What libvirt says of a copy, and when it says nothing any more. Its answers are libvirt 9.0's own (lost-backup.guest asks the real one). */
import { TransientError } from '../../model/errors';
import { endLeftoverJob, waitForBackup } from '../../replication/libvirt-job';
import type { Virsh } from '../../replication/virsh';

const stats = (elapsedMs: number, used: number): string =>
  `type: 2\noperation: 6\ntime_elapsed: ${elapsedMs}\ndisk_total: 1000\ndisk_temp_used: ${used}`;

/** A host whose jobs say this, fifteen seconds after each other, the last for ever; and what it was asked to end. */
function host(...jobs: string[]) {
  let seconds = 0;
  const ended: string[] = [];
  const virsh: Virsh = async ([command, machine, ...options]) => {
    if (command === 'domjobabort') ended.push(machine!);
    if (options.includes('--completed')) return 'Job type:         Completed\nOperation:        Backup';
    return jobs[Math.min(seconds++, jobs.length - 1)]!;
  };
  return { host: { virsh, elapsed: () => seconds * 15_000 }, ended };
}

test('a copy that is as slow as its storage is waited for', async () => {
  const slow = Array.from({ length: 30 }, (_, at) => stats(at, at >> 4));
  const { host: one, ended } = host(...slow, 'Job type:         None');
  const seen: number[] = [];
  await waitForBackup(one, 'app01', { onProgress: ({ done }) => void seen.push(done) });
  expect([seen.at(-1), ended]).toEqual([1, []]);
});

test('one that says nothing new is ended, and the next cycle repeats it', async () => {
  let seconds = 0;
  const ended: string[] = [];
  const virsh: Virsh = async ([command, machine]) => {
    if (command === 'domjobabort') ended.push(machine!);
    seconds += 60;
    return stats(seconds, 7);
  };
  const error: unknown = await waitForBackup({ virsh, elapsed: () => seconds * 1000 }, 'app01', {}).catch((e) => e);
  expect(error).toMatchObject({
    family: 'TransientError',
    message: expect.stringContaining('said nothing new for 5 min'),
  });
  expect([ended, seconds >= 300]).toEqual([['app01'], true]);
});

test('a job that libvirt has lost is for a person; what else it refuses is tried again', async () => {
  const refusing = (found: string) => ({
    virsh: () => Promise.reject(new TransientError({ what: 'virsh domjobinfo failed on the source', found })),
    elapsed: () => 0,
  });
  await expect(endLeftoverJob(refusing('internal error: backup job data missing'), 'app01')).rejects.toMatchObject({
    ...{
      family: 'OperatorError',
      message: expect.stringMatching(/nothing of app01.*Shut app01 down.*qemu\/app01\.xml/s),
    },
  });
  await expect(endLeftoverJob(refusing('cannot acquire state change lock'), 'app01')).rejects.toMatchObject({
    family: 'TransientError',
  });
});
