/** A program that ends and leaves others behind that hold its outputs open. */
import { runProgram } from '../../programs/run';

/** Ends what was left. @returns whether it still ran */
function end(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

test('who is left in the background is not waited for', async () => {
  const { stdout, exitCode } = await runProgram('/bin/sh', ['-c', 'sleep 600 & echo $!']);
  expect([exitCode, end(Number(stdout))]).toEqual([0, true]);
});

test('nor after a time-out', async () => {
  let left = 0;
  const onText = (text: string) => void (left = Number(text));
  const program = ['-c', 'setsid sleep 600 & echo $!; wait'];
  await expect(runProgram('/bin/sh', program, { timeoutMs: 1_000, onText })).rejects.toMatchObject({ timedOut: true });
  expect(end(left)).toBe(true);
});

test('what is said after the end is read, also where this process stands still meanwhile', async () => {
  const running = runProgram('/bin/sh', ['-c', '(sleep 0.9; echo late) & echo end; sleep 0.3']);
  // It has ended, and its word was heard before; the next word comes, and the time for it is over, while nothing is heard.
  await new Promise((resolve) => setTimeout(resolve, 600));
  // From there Node comes to what is due before it comes to what is to be read.
  await new Promise((resolve) => setImmediate(resolve));
  for (const until = performance.now() + 2_500; performance.now() < until;) continue;
  expect((await running).stdout).toBe('end\nlate\n');
});
