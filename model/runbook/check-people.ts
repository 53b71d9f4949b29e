/** Gates that somebody can pass, and notifications that reach somebody. */
import { isAmong, listed } from '../access';
import { actingRoles } from '../people';
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { peopleAble } from './people-able';
import { problem, unknownName, warning, type PlaceInFile, type RunbookProblem } from './problems';

type GateFile = RunbookFile['gates'][string];
type PeopleFile = GateFile['approvers'];

export function checkGates(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const uses = usesOf(file);
  const unknown = uses.flatMap(({ at, gate }) => {
    if (file.gates[gate] !== undefined) return [];
    return [unknownName(at, gate, Object.keys(file.gates), 'a gate of `gates`')];
  });
  const each = Object.entries(file.gates).flatMap(([name, gate]) => [
    ...gateProblems(file, ['gates', name], gate, inventory),
    ...(uses.some((use) => use.gate === name)
      ? []
      : [warning(['gates', name], 'a gate that nothing uses', 'a wave with this gate')]),
  ]);
  const { start, decide } = file.access;
  const access = Object.entries({ start, decide }).flatMap(([key, who]) =>
    who === undefined ? [] : peopleProblems(['access', key], who, inventory),
  );
  return [...unknown, ...each, ...access];
}

function usesOf(file: RunbookFile): { at: PlaceInFile; gate: string }[] {
  const waves = file.waves.flatMap(({ gate }, w) => (gate === undefined ? [] : [{ at: ['waves', w, 'gate'], gate }]));
  const { tryOut } = file.rehearsal;
  return tryOut === undefined ? waves : [...waves, { at: ['rehearsal', 'tryOut'], gate: tryOut }];
}

function gateProblems(
  file: RunbookFile,
  at: PlaceInFile,
  gate: GateFile,
  inventory: Inventory | null,
): RunbookProblem[] {
  const who = peopleProblems([...at, 'approvers'], gate.approvers, inventory);
  // Whom it cannot ask at all, it need not count.
  const count = who.some(({ severity }) => severity === 'error') ? [] : enough(file, at, gate, inventory);
  const problems = [...who, ...count];
  if (gate.otherwise !== 'wait' && gate.within === undefined) {
    problems.push(
      problem(
        [...at, 'otherwise'],
        `\`otherwise: ${gate.otherwise}\` without a time`,
        '`within`: how long people have',
      ),
    );
  }
  if (gate.otherwise === 'escalate' && gate.escalateTo === undefined) {
    problems.push(problem([...at, 'otherwise'], 'nobody to escalate to', '`escalateTo`'));
  }
  if (gate.escalateTo !== undefined)
    problems.push(...peopleProblems([...at, 'escalateTo'], gate.escalateTo, inventory));
  return problems;
}

/** Whether people enough may approve it, of those who could log in now. */
function enough(file: RunbookFile, gateAt: PlaceInFile, gate: GateFile, inventory: Inventory | null): RunbookProblem[] {
  const { approvals, approvers } = gate;
  const at = [...gateAt, 'approvals'];
  const named = new Set(approvers.people).size;
  if (approvers.roles.length === 0 && named < approvals) {
    return [problem(at, `${approvals} approvals of ${named} people`, 'at least as many people as approvals')];
  }
  if (inventory === null) return [];
  const able = peopleAble(file, approvers, inventory);
  const count = (people: number): string => `${people} ${people === 1 ? 'person' : 'people'}`;
  const found = `${approvals} ${approvals === 1 ? 'approval' : 'approvals'}, and ${count(able.length)} who may approve`;
  const needed = (people: number): string => `at least ${people} who may; whoever starts the run does not count`;
  const remedy = 'Give more people one of the roles, or ask for fewer approvals.';
  if (able.length < approvals) return [{ ...problem(at, found, needed(approvals), remedy), canWait: true }];
  const { start } = file.access;
  const mayStart = able.filter((person) => start === undefined || isAmong(start, person));
  if (able.length > approvals || mayStart.length === 0) return [];
  return [warning(at, `${found}, of whom ${mayStart[0]!.name} may start it`, needed(approvals + 1), remedy)];
}

/** Roles and people that may act, and that there are: what only reads is refused at the door. */
function peopleProblems(at: PlaceInFile, who: PeopleFile, inventory: Inventory | null): RunbookProblem[] {
  if (who.roles.length + who.people.length === 0) return [problem(at, 'nobody', 'roles, people, or both')];
  const reading = who.roles.flatMap((role, index) => (actingRoles.includes(role) ? [] : [{ role, index }]));
  const isReadOnly = who.people.length === 0 && reading.length === who.roles.length;
  const roles = reading.map(({ role, index }): RunbookProblem => {
    const said = isReadOnly ? problem : warning;
    const found = `role ${role}, which may read and not act`;
    return { ...said([...at, 'roles', index], found, listed([...actingRoles])), canWait: true };
  });
  if (inventory === null) return roles;
  const known = [...inventory.people.keys()];
  const people = who.people.flatMap((name, index): RunbookProblem[] => {
    const place = [...at, 'people', index];
    const person = inventory.people.get(name);
    if (person === undefined) {
      return [{ ...unknownName(place, name, known, 'somebody with a token (`muster token list`)'), canWait: true }];
    }
    if (actingRoles.includes(person.role)) return [];
    return [warning(place, `${name}, whose role ${person.role} may read and not act`, listed([...actingRoles]))];
  });
  return [...roles, ...people];
}

export function checkNotifications(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  return file.notify.flatMap((rule, index) => {
    const at = ['notify', index];
    if (rule.mail.length + rule.webhooks.length === 0)
      return [problem(at, 'nobody to tell', '`mail`, `webhooks`, or both')];
    return rule.webhooks.flatMap((name, w) => {
      if (!inventory?.webhooks || inventory.webhooks.includes(name)) return [];
      const needed = `a webhook of the configuration: ${inventory.webhooks.join(', ') || 'none'}`;
      return [{ ...unknownName([...at, 'webhooks', w], name, inventory.webhooks, needed), canWait: true as const }];
    });
  });
}
