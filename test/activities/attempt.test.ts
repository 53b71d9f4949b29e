import { asyncLocalStorage, type Context } from '@temporalio/activity';
import type { EffectInput, FailureDetails } from '../../activities/contract';
import { recorded } from '../../activities/attempt';
import type { ActivityDeps } from '../../activities/site';
import { OperatorError } from '../../model/errors';
import { makeOrder } from '../support/order';

const deps: ActivityDeps = {
  sites: { recovery: new Map(), source: new Map() },
  evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
  secrets: () => Promise.reject(new Error('no secret is expected here')),
  worker: { kind: 'worker', id: 'worker-1', name: 'worker-1' },
  now: () => 0,
};
const order = makeOrder();
const { tenantId, coreId, runId } = order;
const input: EffectInput = {
  order,
  effect: { tenantId, coreId, runId, step: 'inoculate', item: null, attempt: 1, token: 1, undo: false },
};

async function failureOf(effect: (input: EffectInput) => Promise<unknown>): Promise<FailureDetails> {
  const activities = recorded<{ effect: typeof effect }>({ effect }, deps);
  const context = { cancellationSignal: new AbortController().signal, heartbeat: () => undefined };
  const outcome = asyncLocalStorage.run(context as unknown as Context, () => activities.effect(input));
  const error = (await outcome.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )) as { details: FailureDetails[] } | undefined;
  return error!.details[0]!;
}

test('a failure with endless texts is shortened to what the record can take, beginning and end', async () => {
  const text = `begins ${'x'.repeat(3_000_000)} ends`;
  const failure = await failureOf(() =>
    Promise.reject(new OperatorError({ what: text, found: text, remedy: text, detail: text })),
  );
  expect(JSON.stringify(failure).length).toBeLessThan(64 * 1024);
  expect(failure.message).toMatch(/^begins .* ends$/s);
  expect(failure.remedy).toMatch(/^begins .* ends$/s);
});

test('an answer that no payload can carry parks the step instead of being sent again for ever', async () => {
  const failure = await failureOf(() => Promise.resolve('x'.repeat(3_000_000)));
  expect(failure).toMatchObject({ family: 'PermanentError', worker: 'worker-1' });
  expect(failure.message).toContain('3000002 characters');
});
