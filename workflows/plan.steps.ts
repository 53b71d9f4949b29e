/** What a plan declares of itself, in the order in which it happens. Data only, as push-button-recovery.steps.ts. */
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
    undo: 'Each server’s run is told to undo, the last started first.',
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
    id: 'commit',
    title: 'Commit, or roll back',
    why: 'All servers stand. Until this step abort takes everything back; after it the recovered servers are the ones.',
    remedy: 'Ask those who use the servers, then commit or roll back.',
  },
] as const satisfies readonly StepDeclaration[];

export type PlanStep = (typeof steps)[number]['id'];

export const planDeclaration: ProcedureDeclaration = {
  name: 'plan',
  title: 'Run of a runbook',
  summary: 'Recovers many servers in the order and with the consent that a runbook demands.',
  steps,
};
