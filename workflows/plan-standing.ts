/**
 * What the people who approve, try out or commit a plan have to know of it: how many servers are proven, and by name those that stand
 * without a proof because it was skipped, those that the plan goes on without, and what else was not done.
 */
import type { PlanOrder } from '../model/plan';
import { recoveredWords } from '../model/plan-counts';
import type { NodeId, NodeKind } from '../model/runbook/graph';
import { isScriptItem } from '../model/runbook/script-places';
import { readProof, rungsNotShown } from '../model/results';
import { provingStep } from '../model/steps';
import type { Shown } from './messages';
import type { ChildStanding, Recovered } from './plan-child';
import type { ChildRuns } from './plan-children';
import type { Remembered, Run } from './runner/run';

/** Of a server's run: names stand with the plan, which prefixes what comes from an included one. */
export function shownOfServer({ memory, order }: Run): Shown {
  const { name } = order.server;
  const proof = memory.get(provingStep);
  const unproven = proof?.exception === true;
  const keys = [...memory].flatMap(([key, { exception }]) => (exception && key !== provingStep ? [key] : []));
  const notShown = rungsNotShown(readProof(proof?.value)).map((rung) => rung.name);
  const words = [
    ...[...new Set(keys.map(notDoneWords))],
    ...(unproven || notShown.length === 0 ? [] : [`seen from outside only, without ${notShown.join(' and ')}`]),
  ];
  const exceptions = words.length === 0 ? [] : [`${name} (${words.join(', ')})`];
  return { ...nothing, unproven: unproven ? [name] : [], exceptions };
}

/** `inoculate skipped`; a script's warning is an exception, too. */
function notDoneWords(key: string): string {
  const [step = '', ...rest] = key.split('/');
  const item = rest.join('/');
  return isScriptItem(item) ? `${item.replace(':', ' ')} skipped or with a warning` : `${step} skipped`;
}

const nothing: Shown = { unproven: [], leftOut: [], givenUp: [], exceptions: [] };

const isAllProven = ({ unproven, leftOut, givenUp }: Shown): boolean =>
  unproven.length + leftOut.length + givenUp.length === 0;

interface Standing extends Shown {
  readonly servers: number;
  readonly parts: number;
}

/** Also what an included plan tells the one that includes it. */
export function standingOf({ order, memory }: Run<PlanOrder>, children: ChildRuns): Standing {
  const servers = order.servers.map(({ name }) =>
    standingOfOne(name, memory.get(`recover/${name}`), children.standing(`server:${name}`)),
  );
  const parts = order.parts.map(({ name }) =>
    standingOfOne(`runbook ${name}`, memory.get(`include/${name}`), children.standing(`include:${name}`), `${name}/`),
  );
  const all = [...servers, ...parts];
  const scripts = [...memory].flatMap(([key, { exception }]) =>
    exception && key.startsWith('scripts/') ? [notDoneWords(key)] : [],
  );
  const proven = (of: readonly { readonly proven: boolean }[]): number => of.filter((one) => one.proven).length;
  return {
    ...{ servers: proven(servers), parts: proven(parts) },
    unproven: all.flatMap((one) => one.unproven),
    leftOut: all.flatMap((one) => one.leftOut),
    givenUp: all.flatMap((one) => one.givenUp),
    exceptions: [...all.flatMap((one) => one.exceptions), ...scripts],
  };
}

function standingOfOne(
  name: string,
  remembered: Remembered | undefined,
  child: ChildStanding | null,
  prefix = '',
): Shown & { readonly proven: boolean } {
  const recovered = remembered?.value as Recovered | null | undefined;
  if (remembered?.exception === true) {
    if (recovered?.state !== 'failed') return { ...nothing, leftOut: [name], proven: false };
    return { ...nothing, givenUp: [`${name}${undoneWords(child)}`], proven: false };
  }
  if (child === null || !child.proven) return { ...nothing, proven: false };
  const { shown, state } = child;
  const said = { ...nothing, ...shown };
  const ended = state === null || state.startsWith('succeeded') ? [] : [`${name} (its run has ended as ${state})`];
  const prefixed = (names: readonly string[]): string[] => names.map((one) => `${prefix}${one}`);
  return {
    unproven: prefixed(said.unproven),
    leftOut: prefixed(said.leftOut),
    givenUp: prefixed(said.givenUp),
    exceptions: [...prefixed(said.exceptions), ...ended],
    proven: ended.length === 0 && isAllProven(said),
  };
}

/** Nothing is said where none was started, or its own people ended it. */
function undoneWords(child: ChildStanding | null): string {
  if (child?.state === 'failed') return ' (undone)';
  return child !== null && child.state === null ? ' (not undone yet)' : '';
}

/** `2 of 3 servers are proven`, and then each thing that an approver should not have to look for. No full stop at its end. */
export function provenWords(run: Run<PlanOrder>, children: ChildRuns): string {
  const { servers, parts, unproven, leftOut, givenUp, exceptions } = standingOf(run, children);
  return [
    `${countWords(run.order, { server: servers, include: parts })} are proven`,
    ...listed('Recovered without proof, which people skipped', unproven),
    ...listed('Left out by decision', leftOut),
    ...listed('Given up', givenUp),
    ...listed('Not all of it was done', exceptions),
  ].join('. ');
}

/** Of the runs that ended well: servers that stand without a proof, those of included runbooks, too. */
function unprovenOf({ servers, parts }: PlanOrder, children: ChildRuns): string[] {
  const of = (id: NodeId): readonly string[] => {
    const child = children.standing(id);
    return child?.state?.startsWith('succeeded') === true ? (child.shown?.unproven ?? []) : [];
  };
  return [...servers.map(({ name }) => of(`server:${name}`)), ...parts.map(({ name }) => of(`include:${name}`))].flat();
}

/** For the end of the run. */
export function succeededWords(order: PlanOrder, children: ChildRuns): string {
  const succeeded = (kind: NodeKind, all: readonly { readonly name: string }[]): number =>
    all.filter(({ name }) => children.standing(`${kind}:${name}`)?.state?.startsWith('succeeded') === true).length;
  const counts = { server: succeeded('server', order.servers), include: succeeded('include', order.parts) };
  const unproven = unprovenOf(order, children).length;
  const onlyServers = order.parts.length === 0;
  return recoveredWords({ counted: countWords(order, counts), onlyServers, unproven }, order.mode);
}

/** `2 of 3 servers`, with the included runbooks where there are any. */
function countWords(
  { servers, parts }: Pick<PlanOrder, 'servers' | 'parts'>,
  count: Readonly<Record<'server' | 'include', number>>,
): string {
  const ofServers = `${count.server} of ${servers.length} servers`;
  if (parts.length === 0) return ofServers;
  const ofParts = `${count.include} of ${parts.length} included runbooks`;
  return servers.length === 0 ? ofParts : `${ofServers} and ${ofParts}`;
}

/** A question is read on a telephone; the report has all. */
const mostNamed = 12;

function listed(words: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
  return [`${words}: ${names.slice(0, mostNamed).join(', ')}${more}`];
}
