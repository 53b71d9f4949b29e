/** A program in a guest whose agent falls silent while it runs. Refusals are libvirt 9.0's own. */
import { TransientError } from '../../model/errors';
import { execInGuest } from '../../platforms/libvirt/agent';
import type { Host } from '../../platforms/libvirt/host';

type Answer = object | string;
const silent = 'error: Guest agent is not responding: Guest agent not available for now';
const refuses = (why: string) =>
  `error: internal error: unable to execute QEMU agent command 'guest-exec-status': ${why}`;
const frozen = refuses('Command guest-exec-status has been disabled: the agent is in frozen state');
const over = { exited: true, exitcode: 3 };

/** A guest that starts programs, and says of them what is here, the last for ever. */
function guest(...status: Answer[]) {
  const asked: string[] = [];
  const run = async (what: string, args: readonly string[]): Promise<string> => {
    const { execute } = JSON.parse(args.at(-1)!) as { execute: string };
    asked.push(execute);
    const said = execute === 'guest-exec' ? { pid: 7 } : status.length > 1 ? status.shift()! : status[0]!;
    if (typeof said === 'string') throw new TransientError({ what, found: 'virsh ended with 1', detail: said });
    return JSON.stringify({ return: said });
  };
  const host = { virsh: { uri: 'test:///default', run } } as unknown as Host;
  const exec = (timeoutMs = 5_000) => execInGuest(host, 'uuid', 'app01', { path: '/bin/check', args: [], timeoutMs });
  return { exec, started: () => asked.filter((one) => one === 'guest-exec').length };
}

afterEach(() => void jest.restoreAllMocks());

test('it is asked for again, and not run a second time', async () => {
  const { exec, started } = guest({ exited: false }, silent, frozen, over);
  expect(await exec()).toMatchObject({ exitCode: 3 });
  expect(started()).toBe(1);
});

test('an agent that does not know it any more fails at once', async () => {
  const { exec } = guest(refuses('PID 7 does not exist'));
  await expect(exec(600_000)).rejects.toMatchObject({ family: 'TransientError' });
});

test('one that stays silent is not taken for a program that runs', async () => {
  const atTheEnd = guest(silent);
  await expect(atTheEnd.exec(200)).rejects.toThrow(/the guest agent of app01 does not answer/);
  const now = Date.now.bind(Date);
  let later = 0;
  jest.spyOn(Date, 'now').mockImplementation(() => now() + (later += 30_000));
  await expect(guest(silent).exec(3_600_000)).rejects.toThrow(/the guest agent of app01 does not answer/);
  expect(later).toBeLessThan(600_000);
});

test('one that runs on is', async () => {
  await expect(guest({ exited: false }).exec(200)).rejects.toThrow(/\/bin\/check in app01 is not done.*after 200 ms/);
}, 30_000);
