/** Workflows of bench/step.ts: the same number of no-op steps, bare and through the step runner. */
import { proxyActivities } from '@temporalio/workflow';
import type { Outcome } from '../activities/contract';
import type { RecoveryOrder } from '../model/order';
import type { ProcedureDeclaration } from '../model/steps';
import { conduct } from '../workflows/runner/conduct';
import { step } from '../workflows/runner/steps';

const { nothing } = proxyActivities<{ nothing(): Promise<Outcome<null>> }>({
  startToCloseTimeout: '1m',
  heartbeatTimeout: '10s',
  retry: { maximumAttempts: 1 },
});

export async function bareSteps(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await nothing();
}

export async function recordedSteps(order: RecoveryOrder, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `step-${index}`);
  const plain = { title: '', why: '', remedy: '', undo: null, perDisk: false, skippable: false, provides: [] };
  const declaration: ProcedureDeclaration = {
    name: 'bench',
    title: 'Bench',
    summary: '',
    steps: ids.map((id) => ({ ...plain, id })),
  };
  await conduct(order, declaration, async (run) => {
    for (const id of ids) await step(run, id, () => nothing());
    return 'done';
  });
}
