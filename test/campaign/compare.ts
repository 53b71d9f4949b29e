/** The end of a run among kills against the end of the same run in calm: each difference is a sentence. */
import type { EndState } from './end-state';
import type { Plan } from './plan';

/** What of a seed says which differences are its own. */
export type Compared = Pick<Plan, 'ending' | 'finalCycle' | 'mode' | 'option' | 'source'>;

export function differences(plan: Compared, calm: EndState, storm: EndState): string[] {
  // Where a run is when an abort comes in passing is a matter of time; that nothing is left of it is not.
  const inPassing = plan.ending.kind === 'abort-in-passing';
  const parts: (keyof EndState)[] = inPassing
    ? ['run', 'machines', 'disks', 'replica']
    : ['run', 'steps', 'machines', 'disks', 'replica', 'source'];
  return [
    ...parts.flatMap((part) => differenceIn(part, calm[part], storm[part])),
    ...effectsFindings(plan, calm.effects, storm.effects),
    ...holdFindings(plan, calm.holds, storm.holds),
    ...(inPassing ? sourceAgainOn(plan, storm) : []),
  ];
}

function differenceIn(part: string, calm: unknown, storm: unknown): string[] {
  const [wanted, found] = [JSON.stringify(calm), JSON.stringify(storm)];
  return wanted === found ? [] : [`${part} differ: undisturbed ${wanted}, disturbed ${found}`];
}

/** Effect and what undoes it. */
const pairs: readonly (readonly [string, string])[] = [
  ['platform.create', 'platform.remove'],
  ['platform.power-on', 'platform.power-off'],
  ['platform.attach-disk', 'platform.detach-disk'],
  ['platform.register-disk', 'platform.unregister-disk'],
  ['replicas.take', 'replicas.drop'],
  ['replicas.hand-over', 'replicas.take-back'],
];

/** Effects of the disk editor are logged after the bytes are written, so a kill in between loses the line, not the bytes. */
const logMayLack = (effect: string): boolean => effect.startsWith('disks.');

function effectsFindings(plan: Compared, calm: EndState['effects'], storm: EndState['effects']): string[] {
  const findings: string[] = [];
  for (const effect of new Set([...Object.keys(calm), ...Object.keys(storm)])) {
    const [wanted, found] = [calm[effect] ?? 0, storm[effect] ?? 0];
    if (plan.ending.kind === 'abort-in-passing') {
      if (found > 1) findings.push(`${effect} happened ${found} times`);
    } else if (found !== wanted && !(logMayLack(effect) && found < wanted)) {
      findings.push(`${effect} happened ${found} times, undisturbed ${wanted}`);
    }
  }
  const aborted = plan.ending.kind.startsWith('abort') || plan.ending.kind === 'roll-back';
  return aborted ? [...findings, ...unpaired(storm)] : findings;
}

function unpaired(effects: EndState['effects']): string[] {
  return pairs.flatMap(([done, undone]) =>
    Object.keys(effects)
      .filter((effect) => effect === done || effect.startsWith(`${done} `))
      .flatMap((effect) => {
        const [times, back] = [effects[effect] ?? 0, effects[effect.replace(done, undone)] ?? 0];
        return times === back ? [] : [`${effect} happened ${times} times and was undone ${back} times`];
      }),
  );
}

/** A last cycle lets go and holds again, as often as it is tried; without one the holds are the same. */
function holdFindings(plan: Compared, calm: readonly string[], storm: readonly string[]): string[] {
  const repeated = storm.filter((what, index) => what === storm[index - 1]);
  const findings = repeated.map((what) => `${what} happened twice in a row`);
  const comparable = plan.finalCycle === 'never' && plan.ending.kind !== 'abort-in-passing';
  if (comparable && calm.join() !== withoutTakenAgain(plan, storm).join())
    findings.push(`holds differ: undisturbed ${calm.join(', ')}, disturbed ${storm.join(', ')}`);
  return findings;
}

/**
 * A run that copies, or rehearses, holds the replica and lets it go in one step: an attempt that was lost behind its let-go does both
 * once more. That it takes nothing twice, the effects say.
 */
function withoutTakenAgain({ mode, option }: Compared, holds: readonly string[]): readonly string[] {
  if (option !== 'copy-and-recover' && mode !== 'rehearsal') return holds;
  const pair = ['replicas.hold-frozen', 'replicas.let-go'];
  const isPair = (at: number): boolean => holds.slice(at, at + 2).join() === pair.join();
  const again = holds.map((_, at) => at >= 2 && isPair(at) && isPair(at - 2));
  return holds.filter((_, at) => !again[at] && !(at > 0 && again[at - 1]));
}

function sourceAgainOn(plan: Compared, { source }: EndState): string[] {
  const { power, switched } = source as { power: string; switched: string[] };
  const wanted = plan.source === 'lost' ? 'off' : 'on';
  return power === wanted ? [] : [`the source is ${power}, needed ${wanted} (${switched.join(', ')})`];
}

/** Files of the server at the site, in plain words. A lease's file stays: the lock is on its inode. */
export function fileDifferences(
  plan: Pick<Plan, 'ending'>,
  calm: readonly string[],
  storm: readonly string[],
): string[] {
  const inPassing = plan.ending.kind === 'abort-in-passing';
  const mayBeThere = (file: string): boolean =>
    calm.includes(file) || (inPassing && /^leases\/(machine|copies|networks)\/RUN\.lease/.test(file));
  const missing = inPassing ? [] : calm.filter((file) => !storm.includes(file));
  return [
    ...storm.filter((file) => !mayBeThere(file)).map((file) => `left behind: ${file}`),
    ...missing.map((file) => `missing: ${file}`),
  ];
}
