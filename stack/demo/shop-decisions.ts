/** Watching the shop's rehearsal: where it waits for people, a second person decides, because nobody approves their own. */
import pc from 'picocolors';
import type { RunView } from '../../model/run-view';
import { asJson, mustRun, showAndRun } from './muster';
import type { DemoPlace } from './place';
import { ask, isTerminal, say } from './telling';

const waitsForPeople = 8;

/** Returns the watch's exit code at the run's end. */
export async function watchPlan(place: DemoPlace, runId: string): Promise<number> {
  let second: DemoPlace | undefined;
  for (let after: string[] = []; ;) {
    const code = await showAndRun(place, ['watch', runId, '--stop-when-waiting', ...after]);
    if (code !== waitsForPeople) return code;
    const { view } = await asJson<{ view: RunView }>(place, ['show', runId]);
    after = ['--after', String(view.eventCount)];
    second ??= await secondPerson(place);
    await decide(second, view);
  }
}

/** Somebody else, with a token of their own. */
async function secondPerson(place: DemoPlace): Promise<DemoPlace> {
  const name = 'Bea Coordinator';
  say(`Whoever started it cannot approve it: ${name} gets a token of her own.`);
  const { token } = await asJson<{ token: string }>(place, ['token', 'issue', name, '--role', 'coordinator']);
  return { ...place, env: { ...place.env, MUSTER_TOKEN: token } };
}

async function decide(place: DemoPlace, view: RunView): Promise<void> {
  const open = view.parkings.find((parking) => parking.until === null);
  if (open === undefined) return;
  say(pc.yellow(open.remedy));
  const possible = open.allowed.filter((decision) => ['approve', 'retry', 'abort'].includes(decision));
  const chosen = isTerminal() ? await ask('What do you decide?', possible) : possible[0]!;
  if (!isTerminal()) say('Nobody sits at this terminal, so the demo decides what a coordinator would:');
  const at = chosen === 'abort' ? [] : ['--step', open.step];
  await mustRun(place, [chosen, view.runId, ...at, '--reason', 'seen in the demo']);
}
