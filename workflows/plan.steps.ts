/** What a plan declares of itself, in the order in which it happens. Data only, as push-button-recovery.steps.ts. */
import type { Mode } from '../model/order';
import type { ProcedureDeclaration, StepDeclaration } from '../model/steps';

const defaults = { undo: null, perDisk: false, skippable: false, provides: [] } as const;

const steps = [
  {
    ...defaults,
    id: 'recover',
    title: 'Recover the servers, each when what it depends on is done',
    why: 'One run of its own for each server: it is retried, stuck and decided on by itself, and no stranger waits for it.',
    remedy:
      'The server’s own run says what happened. Retry starts a new one; skip goes on without this server, as if it were done; abort undoes the whole plan.',
    undo: 'Each server’s run is told to undo when everything that depends on it is undone.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'include',
    title: 'Run the runbooks that it includes, each when what it depends on is done',
    why: 'Each is a run of its own, with its own gates and its own record; it is proven when all of its servers are.',
    remedy:
      'The run of the included runbook says what happened. Retry starts a new one; skip goes on without it, as if it were done; abort undoes the whole plan.',
    undo: 'The included runbook’s run is told to undo, and undoes its servers.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'gate',
    title: 'Gates before waves',
    why: 'A wave with a gate starts when the people whom the runbook names have let it.',
    remedy: 'Look at what the question asks for, then approve; or abort the plan.',
  },
  {
    ...defaults,
    id: 'scripts',
    title: 'Scripts before and after waves',
    why: 'Programs that the runbook wants run before the first server of a wave, or after its last, on a worker of the site of its first server.',
    remedy: 'Read the script’s output in the evidence, mend what it names, then retry; or skip it with a reason.',
    skippable: true,
  },
  {
    ...defaults,
    id: 'commit',
    title: 'Commit, or roll back',
    why: 'All servers stand. Until this step abort takes everything back; after it the recovered servers are the ones.',
    remedy: 'Ask those who use the servers, then commit or roll back.',
  },
] as const satisfies readonly StepDeclaration[];

/** Of a runbook that another one includes: that plan has the last word. */
const awaitPlan: StepDeclaration = {
  ...defaults,
  id: 'await-plan',
  title: 'Wait for the plan that includes this one',
  why: 'All servers of this runbook stand. The plan that includes it commits everything together, or takes it all back.',
  remedy: 'Decide at that plan (`muster show PLAN`). If it was ended, decide here.',
};

const ofRehearsals = {
  'make-networks': {
    ...defaults,
    id: 'make-networks',
    title: 'Make the isolated networks',
    why: 'The rehearsal’s machines reach each other and nobody else.',
    remedy: 'See what the message names at the recovery site’s platform, then retry.',
    undo: 'The networks are removed.',
  },
  'try-out': {
    ...defaults,
    id: 'try-out',
    title: 'Let people try the application',
    why: 'Everything stands in its isolated network; the people whom the runbook names look at it before it is cleaned up.',
    remedy: 'Try what the question asks for, then approve: it is cleaned up. Abort cleans up, too.',
  },
  'clean-up': {
    ...defaults,
    id: 'clean-up',
    title: 'Clean up',
    why: 'Each server’s run removes what the rehearsal made, and proves that nothing is left.',
    remedy: 'The server’s own run says what is left, and waits there.',
  },
  'remove-networks': {
    ...defaults,
    id: 'remove-networks',
    title: 'Remove the isolated networks',
    why: 'They were made for this run, and nothing of it is plugged in any more.',
    remedy: 'See what the message names at the recovery site’s platform, then retry.',
  },
} as const satisfies Record<string, StepDeclaration>;

export type PlanStep = (typeof steps)[number]['id'] | 'await-plan' | keyof typeof ofRehearsals;

export const planDeclaration: ProcedureDeclaration = {
  name: 'plan',
  title: 'Run of a runbook',
  summary: 'Recovers many servers in the order and with the consent that a runbook demands.',
  steps,
};

/** What the run of this order declares. */
export function declarationOfPlan(order: {
  readonly mode: Mode;
  readonly partOf?: unknown;
  readonly parts: readonly unknown[];
}): ProcedureDeclaration {
  const walk = steps.filter(({ id }) => id !== 'commit' && (id !== 'include' || order.parts.length > 0));
  const parent = order.partOf === undefined ? [] : [awaitPlan];
  const networks = ofRehearsals;
  const declared =
    order.mode === 'recovery'
      ? [...walk, ...parent, ...steps.filter(({ id }) => id === 'commit')]
      : [
          networks['make-networks'],
          ...walk,
          ...(order.partOf === undefined ? [networks['try-out']] : parent),
          networks['clean-up'],
          networks['remove-networks'],
        ];
  return { ...planDeclaration, steps: declared };
}
