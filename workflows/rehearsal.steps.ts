/** What a rehearsal declares beside the steps of the recovery that it rehearses. Data only, as push-button-recovery.steps.ts. */
import { makesNetworks } from '../model/rehearsal';
import type { RecoveryOrder } from '../model/order';
import type { ProcedureDeclaration, StepDeclaration } from '../model/steps';

const defaults = { undo: null, perDisk: false, skippable: false, provides: [] } as const;

const steps = [
  {
    ...defaults,
    id: 'survey',
    title: 'Note what is at the site',
    why: 'Machines, networks, storage, files, exports, leases, markers and the state of replication, so that the end can be compared with the beginning item by item.',
    remedy: 'See that the platform and the replica folder answer, then retry.',
    undo: 'The site is compared with this survey: nothing may be left.',
  },
  {
    ...defaults,
    id: 'make-networks',
    title: 'Make the isolated networks',
    why: 'The machine has the name and the addresses of a server that still works: it gets networks of its own without any way out. Nothing may be plugged in before, so this step cannot be skipped.',
    remedy: 'See what the message names at the recovery site’s platform, then retry.',
    undo: 'The networks are removed.',
  },
  {
    ...defaults,
    id: 'prove-isolation',
    title: 'Prove the isolation of the running machine',
    why: 'Asserted before power-on, and here again of the machine as it runs: every card on a network of this run, none of them with a way out.',
    remedy: 'Unplug what leads out, and see who plugged it in; then retry. Abort switches the machine off.',
  },
  {
    ...defaults,
    id: 'try-out',
    title: 'Let people try the application',
    why: 'The machine stands in its isolated network; people look at it before it is cleaned up.',
    remedy: 'Try what the question asks for, then approve: it is cleaned up. Abort cleans up, too.',
  },
  {
    ...defaults,
    id: 'switch-off',
    title: 'Switch the machine off',
    why: 'The clean-up begins: from here on there is no way back, only on.',
    remedy: 'Switch it off by hand at the platform, then retry.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'forget-disks',
    title: 'Let the platform forget the disks',
    why: 'What the platform’s storage knows of this run is taken out of its inventory.',
    remedy: 'See what the message names at the platform’s storage, then retry.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'remove-machine',
    title: 'Remove the machine',
    why: 'Every machine with this run’s tag goes, whatever its name is now.',
    remedy: 'Remove it by hand at the platform, then retry.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'drop-disks',
    title: 'Drop the disks',
    why: 'The target server lets the run’s overlays or copies go and they are deleted; then points may be merged again.',
    remedy: 'Find who still has a file open (`lsof` on the path named), end that program, then retry.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'remove-networks',
    title: 'Remove the isolated networks',
    why: 'They were made for this run and nobody else may come to use them.',
    remedy: 'See which machines are still plugged in, remove them, then retry.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'prove-clean',
    title: 'Prove that nothing is left',
    why: 'The survey is taken again and compared item by item: only replication’s own progress may differ.',
    remedy:
      'Remove what the message names, then retry. If it may stay, skip with that reason: it stands in the report.',
    skippable: true,
  },
] as const satisfies readonly StepDeclaration[];

export type RehearsalStep = (typeof steps)[number]['id'];

/** In their order. */
export const cleanUpSteps = [
  'switch-off',
  'forget-disks',
  'remove-machine',
  'drop-disks',
  'remove-networks',
  'prove-clean',
] as const satisfies readonly RehearsalStep[];
export type CleanUpStep = (typeof cleanUpSteps)[number];

/** Of which steps each of the clean-up takes back what they did; their own undos do the same of a rehearsal that is undone. */
export const takesBack: Readonly<Record<CleanUpStep, readonly string[]>> = {
  'switch-off': ['power-on'],
  'forget-disks': ['register-disks', 'hand-over'],
  'remove-machine': ['create-machine'],
  'drop-disks': ['take-disks', 'apply-signature', 'freeze'],
  'remove-networks': ['make-networks'],
  'prove-clean': ['survey'],
};
export const firstOfCleanUp: RehearsalStep = 'switch-off';

/** A rehearsal leaves replication alone: there is nothing to suspend, and nothing to resume. */
const notRehearsed = ['suspend-replication', 'resume-replication'];

const one = (id: RehearsalStep): StepDeclaration => steps.find((step) => step.id === id)!;

type Asked = Pick<RecoveryOrder, 'tryOut' | 'partOf'> & { readonly networks: boolean };

/** The recovery's own steps with what a rehearsal does before, between and after them. */
export function rehearsalOf(
  recovery: ProcedureDeclaration,
  awaitPlan: StepDeclaration,
  { tryOut, partOf, networks }: Asked,
): ProcedureDeclaration {
  const [preflight, ...rest] = recovery.steps.filter(({ id }) => !notRehearsed.includes(id));
  const at = rest.findIndex(({ id }) => id === 'create-machine');
  return {
    name: 'rehearsal',
    title: 'Rehearsal',
    summary:
      'Recovers one server from its replica into networks without a way out, proves that it works, cleans up, and proves that nothing is left.',
    steps: [
      preflight!,
      one('survey'),
      ...rest.slice(0, at),
      ...(networks ? [one('make-networks')] : []),
      ...rest.slice(at),
      one('prove-isolation'),
      ...(tryOut === undefined ? [] : [one('try-out')]),
      ...(partOf === undefined ? [] : [awaitPlan]),
      ...cleanUpSteps.filter((id) => networks || id !== 'remove-networks').map(one),
    ],
  };
}

export const rehearsalFor = (
  recovery: ProcedureDeclaration,
  awaitPlan: StepDeclaration,
  order: RecoveryOrder,
): ProcedureDeclaration => rehearsalOf(recovery, awaitPlan, { ...order, networks: makesNetworks(order) });

/** The clean-up of a rehearsal that did not get to it, or not to its end. */
export const cleanUpDeclaration: ProcedureDeclaration = {
  name: 'rehearsal-clean-up',
  title: 'Clean-up of a rehearsal',
  summary:
    'Removes what a rehearsal left behind, found by the tag of its run, and proves that nothing is left. Harmless where nothing is.',
  steps: cleanUpSteps.map(one),
};
