/** Watching the shop's rehearsal: where it waits for people, a second person decides, because nobody approves their own. */
import pc from 'picocolors';
import type { StuckDocument } from '../../api/schemas/stuck';
import { asJson, mustRun, showAndRun } from './muster';
import type { DemoPlace } from './place';
import { ask, isTerminal, say } from './telling';

const waitsForPeople = 8;

/** Returns the watch's exit code at the run's end. */
export async function watchPlan(place: DemoPlace, runId: string): Promise<number> {
  let second: DemoPlace | undefined;
  const decided = new Set<string>();
  for (let after: string[] = []; ;) {
    const code = await showAndRun(place, ['watch', runId, '--stop-when-waiting', ...after]);
    if (code !== waitsForPeople) return code;
    const { view } = await asJson<{ view: { eventCount: number } }>(place, ['show', runId]);
    after = ['--after', String(view.eventCount)];
    second ??= await secondPerson(place);
    await decide(second, decided);
  }
}

/** Somebody else, with a token of their own. */
async function secondPerson(place: DemoPlace): Promise<DemoPlace> {
  const name = 'Bea Coordinator';
  say(`Whoever started it cannot approve it: ${name} gets a token of her own.`);
  const { token } = await asJson<{ token: string }>(place, ['token', 'issue', name, '--role', 'coordinator']);
  return { ...place, env: { ...place.env, MUSTER_TOKEN: token } };
}

/**
 * The most urgent of all that waits: the plan's own gate, or a step of one of its servers. What waits a second time at the same place
 * is aborted when nobody sits there: the demo must end.
 */
async function decide(place: DemoPlace, decided: Set<string>): Promise<void> {
  const { items } = await asJson<Pick<StuckDocument, 'items'>>(place, ['stuck']);
  const open = items[0];
  if (open?.step == null) return;
  say(pc.yellow(open.remedy));
  const possible = open.allowed.filter((decision) => ['approve', 'retry', 'skip', 'abort'].includes(decision));
  const here = `${open.runId} ${open.step}`;
  const byItself = decided.has(here) ? 'abort' : possible[0]!;
  decided.add(here);
  const chosen = isTerminal() ? await ask('What do you decide?', possible) : byItself;
  if (!isTerminal()) say('Nobody sits at this terminal, so the demo decides what a coordinator would:');
  const at = chosen === 'abort' ? [] : ['--step', open.step];
  await mustRun(place, [chosen, open.runId, ...at, '--reason', 'seen in the demo']);
}
