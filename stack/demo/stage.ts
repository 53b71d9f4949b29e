/** Where a story of the demo is told: the stack is started, the story runs, and everything is taken away again. */
import { join } from 'node:path';
import { createLibvirtPlatform } from '../../platforms/libvirt/platform';
import type { Platform } from '../../platforms/contract';
import { startStack } from '../start';
import type { RunningStack } from '../start';
import { demoPlace, makeNew, removeMachines } from './place';
import type { DemoPlace } from './place';
import { interruptStory, say } from './telling';

/** 128 + SIGINT, as shells have it. */
const interruptedExitCode = 130;

/** Returns the story's exit code; Ctrl-C ends it early, and nothing of it stays behind. */
export async function perform(story: (place: DemoPlace, stack: RunningStack) => Promise<number>): Promise<number> {
  const place = await demoPlace();
  await makeNew(place);
  const stack = await startStack(place.configuration, { env: place.env, say });
  let cleaning: Promise<void> | undefined;
  const cleanUp = (): Promise<void> => (cleaning ??= takeAway(place, stack));
  const interrupted = cleanUpOnSignal(cleanUp);
  try {
    return await Promise.race([story(place, stack), interrupted.exitCode]);
  } finally {
    try {
      await cleanUp();
    } finally {
      interrupted.forget();
    }
  }
}

/** The production site as the story looks at it, beside Muster. */
export function sourcePlatform(place: DemoPlace): Platform {
  const consoleFolder = join(place.configuration.dataFolder, 'sources', 'production');
  return createLibvirtPlatform({ id: 'production', uri: 'qemu:///system', consoleFolder, networks: {} });
}

async function takeAway(place: DemoPlace, stack: RunningStack): Promise<void> {
  say('Taking the demo’s machines away …');
  await stack.stop();
  await removeMachines(place);
}

/** Who presses Ctrl-C again is told what is waited for: machines left behind are more trouble than half a minute. */
function cleanUpOnSignal(cleanUp: () => Promise<void>): { exitCode: Promise<number>; forget: () => void } {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let onSignal = (): void => undefined;
  let times = 0;
  const exitCode = new Promise<number>((resolve) => {
    onSignal = () => {
      times += 1;
      if (times > 1) return say('Everything is being taken away; this takes half a minute.');
      interruptStory();
      resolve(interruptedExitCode);
      // What still waits in the story must not keep the process alive.
      void cleanUp().finally(() => process.exit(interruptedExitCode));
    };
  });
  for (const signal of signals) process.on(signal, onSignal);
  const forget = (): void => signals.forEach((signal) => process.off(signal, onSignal));
  return { exitCode, forget };
}
