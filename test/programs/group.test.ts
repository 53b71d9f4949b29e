/** A program with its group, seen by the program itself: what it starts must have somebody who ends it from the first moment on. */
import { tmpdir } from 'node:os';
import { runGroup } from '../../programs/group';

const limits = { memoryBytes: 2 ** 30, fileBytes: 2 ** 20, processorSeconds: 10 };

test('whoever ends the group when Muster is gone is there before the program is', async () => {
  // Its own parent is this process, and so is the watcher's.
  const { exitCode, stdout } = await runGroup('/bin/sh', ['-c', 'exec ps --ppid "$PPID" -o pid=,args='], {
    ...{ cwd: tmpdir(), env: { PATH: '/usr/bin:/bin' }, timeoutMs: 20_000 },
    ...{ limits, keepBytes: 64_000 },
  });
  expect(exitCode).toBe(0);
  expect(stdout.head.toString()).toMatch(/sh -c read -r group .*kill -KILL/);
});
