/** Names and what comes after what. */
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { findCycle, planGraph, type NodeId } from './graph';
import { problem, unknownName, type PlaceInFile, type RunbookProblem } from './problems';

/** Runbooks in runbooks in runbooks; more is nobody's plan any more. */
export const deepestInclusion = 5;

export function checkOrder(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const known = namesOf(file);
  const unknown = afters(file).flatMap(({ at, name }) => unknownAfter(at, name, known));
  return [...repeated(file), ...unknown, ...cycle(file), ...inclusions(file, inventory)];
}

interface After {
  readonly at: PlaceInFile;
  readonly name: string;
}

function afters(file: RunbookFile): After[] {
  const list = (at: PlaceInFile, names: readonly string[]): After[] =>
    names.map((name, index) => ({ at: [...at, 'after', index], name }));
  return [
    ...file.waves.flatMap((wave, w) => [
      ...list(['waves', w], wave.after),
      ...wave.servers.flatMap((server, s) => list(['waves', w, 'servers', s], server.after)),
    ]),
    ...file.includes.flatMap((one, index) => list(['includes', index], one.after)),
  ];
}

interface Named extends After {
  readonly kind: 'wave' | 'server' | 'included runbook';
}

function namesOf(file: RunbookFile): Named[] {
  return [
    ...file.waves.map(({ name }, w): Named => ({ at: ['waves', w, 'name'], name, kind: 'wave' })),
    ...file.waves.flatMap((wave, w) =>
      wave.servers.map(({ name }, s): Named => ({ at: ['waves', w, 'servers', s, 'name'], name, kind: 'server' })),
    ),
    ...file.includes.map(({ runbook }, i): Named => ({
      at: ['includes', i, 'runbook'],
      name: runbook,
      kind: 'included runbook',
    })),
  ];
}

/** One name for two things would make `after` a guess. */
function repeated(file: RunbookFile): RunbookProblem[] {
  const first = new Map<string, Named>();
  return namesOf(file).flatMap((one) => {
    const before = first.get(one.name);
    if (before === undefined) {
      first.set(one.name, one);
      return [];
    }
    const what =
      before.kind === one.kind
        ? `the ${one.kind} "${one.name}" a second time`
        : `the ${one.kind} "${one.name}", which is a ${before.kind}, too`;
    return [problem(one.at, what, 'each name once')];
  });
}

function unknownAfter(at: PlaceInFile, name: string, known: readonly Named[]): RunbookProblem[] {
  if (known.some((one) => one.name === name)) return [];
  const names = known.map((one) => one.name);
  return [unknownName(at, name, names, 'the name of a wave, a server or an included runbook of this file')];
}

function cycle(file: RunbookFile): RunbookProblem[] {
  const servers = file.waves.flatMap((wave) =>
    wave.servers.map(({ name, after }) => ({ name, after, wave: wave.name })),
  );
  const found = findCycle(planGraph({ waves: file.waves, servers, includes: file.includes }));
  if (found === null) return [];
  const names = found.map(shown).filter((name, index, all) => name !== all[index - 1]);
  const at = placeOfCycle(file, new Set(names));
  return [
    problem(
      at,
      `a circle: ${names.join(' before ')}`,
      'an order in which something comes first',
      'Take one `after` out of it.',
    ),
  ];
}

const shown = (id: NodeId): string => id.slice(id.indexOf(':') + 1);

/** The first `after` that is part of the circle. */
function placeOfCycle(file: RunbookFile, names: ReadonlySet<string>): PlaceInFile {
  return afters(file).find(({ name }) => names.has(name))?.at ?? ['waves'];
}

function inclusions(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  if (inventory === null) return [];
  return file.includes.flatMap(({ runbook }, index) => {
    const at = ['includes', index, 'runbook'];
    if (runbook === file.name) return [problem(at, 'the runbook itself', 'another runbook')];
    if (!inventory.runbooks.has(runbook)) {
      return [unknownName(at, runbook, [...inventory.runbooks.keys()], 'an imported runbook (`muster runbook list`)')];
    }
    const path = pathBack(runbook, file.name, inventory.runbooks, [runbook]);
    if (path === 'too deep')
      return [problem(at, `runbooks in runbooks, more than ${deepestInclusion} deep`, `at most ${deepestInclusion}`)];
    if (path === null) return [];
    return [
      problem(at, `a circle: ${[file.name, ...path].join(' includes ')}`, 'runbooks that do not include each other'),
    ];
  });
}

function pathBack(
  from: string,
  to: string,
  includes: ReadonlyMap<string, readonly string[]>,
  path: readonly string[],
): readonly string[] | 'too deep' | null {
  if (path.length > deepestInclusion) return 'too deep';
  for (const next of includes.get(from) ?? []) {
    if (next === to) return [...path, next];
    const found = pathBack(next, to, includes, [...path, next]);
    if (found !== null) return found;
  }
  return null;
}
