/** Recovery goes before rehearsal in a site's queue, too: five rehearsals wait for a worker with one slot when a recovery comes. */
import { caller, eventually, openTestStack, recoveryTools } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;

beforeAll(async () => {
  stack = await openTestStack();
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
});
afterAll(() => stack?.close());

/** When the first step of the run was over, which waited in the queue; null: not yet. */
async function checkedAt(runId: string): Promise<string | null> {
  const { body } = await call('GET', `/runs/${runId}`);
  return body.view.steps.find((one: { id: string }) => one.id === 'preflight').attempts[0]?.endedAt ?? null;
}

test('the recovery that came last is worked on first', async () => {
  const names = [1, 2, 3, 4, 5].map((n) => `rehearsed0${n}`);
  for (const name of [...names, 'lost01']) await tools.protectedServer(name);
  await stack.stopWorkers();
  await stack.startWorkers({ ofSite: false });
  const rehearsal = { mode: 'rehearsal', networks: { lan: 'isolated' }, powerOn: 'decision' };
  const runs: string[] = [];
  for (const [name, changes] of [...names.map((one) => [one, rehearsal] as const), ['lost01', {}] as const]) {
    const { status, body } = await tools.push(name, changes);
    expect(status).toBe(201);
    // Its first step stands in the queue before the next one's does.
    await eventually(async () => (await call('GET', `/runs/${body.runId}`)).body.view?.currentStep === 'preflight');
    runs.push(body.runId);
  }
  await stack.stopWorkers();
  await stack.startWorkers({ siteSlots: 1 });
  const all = await eventually(async () => {
    const times = await Promise.all(runs.map(checkedAt));
    return times.every((at) => at !== null) && (times as string[]);
  });
  // The worker may have taken one before it was shown what else there is.
  const before = all.slice(0, -1).filter((at) => at < all.at(-1)!);
  expect(before.length).toBeLessThan(2);
  for (const runId of runs) await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Seen enough' } });
  for (const runId of runs) await tools.closed(runId);
}, 240_000);
