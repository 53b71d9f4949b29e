/** How the demo speaks: chapters, lines, and waits that show how far they are. */
import { createInterface } from 'node:readline/promises';
import pc from 'picocolors';
import { formatDuration } from '../../model/durations';

export const isTerminal = (): boolean => process.stdout.isTTY === true && process.stdin.isTTY === true;

let interrupted = false;

/** The story is over wherever it stands: nothing more is told while everything is taken away. */
export function interruptStory(): void {
  interrupted = true;
}

/** Ends with the result; once the story was interrupted, never. */
export const whileTold = <T>(result: T): Promise<T> =>
  interrupted ? new Promise(() => undefined) : Promise.resolve(result);

export function chapter(number: number, of: number, title: string): void {
  console.log(`\n${pc.bold(pc.cyan(`${number}/${of}  ${title}`))}`);
}

export function say(text: string): void {
  console.log(`     ${text}`);
}

export function heading(title: string): void {
  console.log(`\n${pc.bold(title)}`);
}

/** A command as a person would type it. */
export function sayCommand(command: string): void {
  console.log(`     ${pc.dim('$')} ${pc.bold(command)}`);
}

const barWidth = 24;
/** Without a terminal a wait still gives a sign of life. */
const lineEveryMs = 15_000;

/** Waits for `work`, showing time passed and left; `usualMs` is how long it took where it was measured. */
export async function waitFor<T>(label: string, usualMs: number, work: Promise<T>): Promise<T> {
  const startedAt = Date.now();
  const redraws = process.stdout.isTTY === true;
  const show = (): void => {
    if (interrupted) return;
    const passedMs = Date.now() - startedAt;
    const left = passedMs < usualMs ? `about ${formatDuration(usualMs - passedMs)} left` : 'longer than usual';
    if (!redraws) return say(`${label}: ${formatDuration(passedMs)} (${left})`);
    const filled = Math.min(barWidth, Math.round((passedMs / usualMs) * barWidth));
    process.stdout.write(`\r     ${label} ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${left}\x1b[K`);
  };
  const timer = setInterval(show, redraws ? 500 : lineEveryMs);
  try {
    const result = await work;
    if (redraws) process.stdout.write('\r\x1b[K');
    say(`${label}: ${formatDuration(Date.now() - startedAt)}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

/** One of the answers; the first when the reader only presses Enter. */
export async function ask(question: string, answers: readonly string[]): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // While it asks, Ctrl-C is a key like others, of which readline makes an error; elsewhere in the demo it is a signal.
  terminal.once('SIGINT', () => {
    terminal.close();
    process.kill(process.pid, 'SIGINT');
  });
  try {
    for (;;) {
      const given = (await terminal.question(`     ${question} [${answers.join('/')}] `)).trim().toLowerCase();
      const answer = given === '' ? answers[0] : answers.find((one) => one === given || one.startsWith(given));
      if (answer !== undefined) return answer;
    }
  } finally {
    terminal.close();
  }
}
