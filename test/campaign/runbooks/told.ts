/** Whether people were told of each run of a runbook what its text says, once; read by a receiver of webhooks of our own. */
import { startReceiver, type TestReceiver } from '../../notify/support/receiver';
import { until } from '../api-client';
import type { Books } from '../books';

export const webhookSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

export const openReceiver = (): Promise<TestReceiver> => startReceiver(webhookSecret);

interface Told {
  readonly occasion: string;
  readonly key: string;
  readonly epoch: number;
  readonly reminder: boolean;
  readonly run: { readonly runId: string; readonly parentRunId: string | null } | null;
}

/** Waits until nothing is left to be sent. @throws the deadline's reason */
export async function toldFindings(
  { calls }: TestReceiver,
  { store }: Books,
  planRunIds: readonly string[],
  deadline: AbortSignal,
): Promise<string[]> {
  const told = (): Told[] =>
    calls.flatMap(({ text }) => (JSON.parse(text) as { data: { notices: Told[] } }).data.notices);
  const of = (runId: string, occasion: string): boolean =>
    told().some((one) => one.run?.runId === runId && one.occasion === occasion);
  // What happened last is told last.
  const over = async () =>
    planRunIds.every((runId) => of(runId, 'finished')) && (await store.notifications.undelivered()).due === 0
      ? true
      : undefined;
  await until('everything is told', over, deadline, 500);
  const findings = planRunIds
    .filter((runId) => !of(runId, 'started'))
    .map((id) => `nobody was told that run ${id} began`);
  const { failed } = await store.notifications.undelivered();
  if (failed > 0) findings.push(`${failed} notifications could not be delivered`);
  if (calls.some(({ verified }) => !verified)) findings.push('a webhook came without its signature');
  return [...findings, ...twice(calls), ...partsOfPlans(told())];
}

/** The same message may come again, under its id (docs/notifications.md); the same notice in another one may not. */
function twice(calls: TestReceiver['calls']): string[] {
  const idsOf = new Map<string, Set<string>>();
  for (const { text, headers } of calls) {
    for (const notice of (JSON.parse(text) as { data: { notices: Told[] } }).data.notices) {
      const { occasion, key, epoch, reminder } = notice;
      const what = `${occasion} of ${key}, waiting ${epoch}${reminder ? ', again' : ''}`;
      idsOf.set(what, (idsOf.get(what) ?? new Set()).add(String(headers['webhook-id'])));
    }
  }
  return [...idsOf].filter(([, ids]) => ids.size > 1).map(([what, ids]) => `${what} was told in ${ids.size} messages`);
}

/** That a part of a plan begins and ends its plan tells. */
function partsOfPlans(told: readonly Told[]): string[] {
  return told
    .filter(({ run, occasion }) => run?.parentRunId != null && (occasion === 'started' || occasion === 'finished'))
    .map(({ run, occasion }) => `people were told that run ${run?.runId}, part of a plan, ${occasion}`);
}
