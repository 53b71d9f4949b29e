/**
 * The runbook that is played: twenty servers of five kinds in four waves, with dependencies inside and across waves, limits, a gate
 * and somebody to tell. With fewer servers it is the same in small: the end of a server depends on its kind alone.
 *
 *   base  <-  data  <-  rest (gate)        front has no wave before it; some of its servers wait for some of data
 *                  front  <-'
 */
import type { NewPlanRunInput } from '../../../api/schemas/plans';
import type { RecoveryOption } from '../../../model/replica';
import { webhookName } from '../killable-stack';
import type { Compared } from '../compare';
import type { Plan } from '../plan';
import type { RunbookEnding, RunbookSeed } from './seed';

export interface ServerKind {
  readonly name: string;
  readonly option: RecoveryOption;
  readonly disks: number;
  readonly powerOn: 'automatic' | 'decision';
  readonly failure: 'critical' | { readonly giveUpAfter: string };
}

const plain = { option: 'backup-and-recover', disks: 1, powerOn: 'automatic', failure: 'critical' } as const;

export const serverKinds: readonly ServerKind[] = [
  { ...plain, name: 'plain' },
  { ...plain, name: 'copied', option: 'copy-and-recover', failure: { giveUpAfter: '1h' } },
  { ...plain, name: 'destructive', option: 'destructive' },
  { ...plain, name: 'two-disks', disks: 2 },
  { ...plain, name: 'asked', powerOn: 'decision' },
];

export interface ServerOfText {
  readonly name: string;
  readonly kind: ServerKind;
  readonly wave: string;
  /** Servers that it names itself. */
  readonly after: readonly string[];
}

const waves = [
  { name: 'base', after: [] },
  { name: 'data', after: ['base'] },
  { name: 'front', after: [] },
  { name: 'rest', after: ['data', 'front'], gate: 'look' },
] as const;

/** `prefix`: of the names, one for each site and seed. Four waves and five kinds: twenty servers have each of each. */
export function serversOf(prefix: string, count: number): ServerOfText[] {
  const nameOf = (at: number): string => `${prefix}-${String(at).padStart(2, '0')}`;
  return Array.from({ length: count }, (_, at): ServerOfText => {
    const wave = waves[at % waves.length]!.name;
    const within = wave === 'data' && at >= 8 ? [nameOf(at - 8)] : [];
    const across = wave === 'front' && at >= 5 ? [nameOf(at - 5)] : [];
    return { name: nameOf(at), kind: serverKinds[at % serverKinds.length]!, wave, after: [...within, ...across] };
  });
}

/** All that have to be proven before this one may start, by the text alone. */
export function beforeIt(server: ServerOfText, all: readonly ServerOfText[]): string[] {
  const wavesBefore: readonly string[] = waves.find(({ name }) => name === server.wave)!.after;
  return [...server.after, ...all.filter(({ wave }) => wavesBefore.includes(wave)).map(({ name }) => name)];
}

/** JSON is YAML. */
export function runbookText(name: string, siteId: string, servers: readonly ServerOfText[]): string {
  const used = waves.filter((wave) => servers.some((server) => server.wave === wave.name));
  return JSON.stringify({
    ...{ format: 1, name, title: `Campaign ${name}`, objectives: { rto: '1h' } },
    networks: { recovery: { lan: 'lan' }, rehearsal: { lan: 'isolated' } },
    defaults: { hardware: 'vmware-pvscsi' },
    waves: used.map((wave) => ({
      ...wave,
      servers: servers
        .filter((server) => server.wave === wave.name)
        .map(({ kind: { option, powerOn, failure }, ...server }) => ({
          ...{ name: server.name, after: server.after, option, powerOn, failure },
        })),
    })),
    limits: { atOnce: 10, boots: { [siteId]: 10 } },
    gates: { look: { title: 'Look', question: 'Do they answer?', approvers: { roles: ['coordinator'] } } },
    notify: [{ on: ['started', 'finished', 'stuck', 'gate'], webhooks: [webhookName] }],
  });
}

export const startOf = ({ mode, seed }: RunbookSeed): NewPlanRunInput => ({ mode, reason: `seed ${seed}` });

/** A recovery begins with the loss of the sources; a rehearsal leaves them running. */
export const losesSources = ({ mode }: RunbookSeed): boolean => mode === 'recovery';

/** How a server's own run is compared with its like. */
export function comparedAs({ option }: ServerKind, seed: RunbookSeed): Compared {
  const endings: Record<RunbookEnding, Plan['ending']['kind'] & ('through' | 'commit' | 'roll-back')> = {
    commit: option === 'destructive' ? 'commit' : 'through',
    'roll-back': 'roll-back',
    'clean-up': 'through',
  };
  const source = losesSources(seed) ? 'lost' : 'running';
  return { ending: { kind: endings[seed.ending] }, finalCycle: 'auto', mode: seed.mode, option, source };
}
