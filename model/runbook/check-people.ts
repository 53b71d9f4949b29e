/** Gates that somebody can pass, and notifications that reach somebody. */
import { isAmong } from '../access';
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
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
    ...gateProblems(['gates', name], gate, inventory),
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

function gateProblems(at: PlaceInFile, gate: GateFile, inventory: Inventory | null): RunbookProblem[] {
  const problems = peopleProblems([...at, 'approvers'], gate.approvers, inventory);
  const { roles, people } = gate.approvers;
  const able = inventory === null ? null : peopleAble(gate.approvers, inventory);
  if (roles.length === 0 && people.length > 0 && new Set(people).size < gate.approvals) {
    problems.push(
      problem(
        [...at, 'approvals'],
        `${gate.approvals} approvals of ${new Set(people).size} people`,
        'at least as many people as approvals',
      ),
    );
  } else if (able !== null && able < gate.approvals) {
    const found = `${gate.approvals} approvals, and ${able} ${able === 1 ? 'person' : 'people'} who may approve`;
    problems.push(
      problem(
        [...at, 'approvals'],
        found,
        'people enough; whoever starts the run does not count',
        'Give more people one of the roles, or ask for fewer approvals.',
      ),
    );
  }
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

function peopleProblems(at: PlaceInFile, who: PeopleFile, inventory: Inventory | null): RunbookProblem[] {
  if (who.roles.length + who.people.length === 0) return [problem(at, 'nobody', 'roles, people, or both')];
  if (inventory === null) return [];
  return who.people.flatMap((name, index) => {
    if (inventory.people.has(name)) return [];
    const known = [...inventory.people.keys()];
    return [unknownName([...at, 'people', index], name, known, 'somebody with a token (`muster token list`)')];
  });
}

function peopleAble(who: PeopleFile, inventory: Inventory): number {
  return [...inventory.people].filter(([name, { role }]) => isAmong(who, { name, role })).length;
}

export function checkNotifications(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  return file.notify.flatMap((rule, index) => {
    const at = ['notify', index];
    if (rule.mail.length + rule.webhooks.length === 0)
      return [problem(at, 'nobody to tell', '`mail`, `webhooks`, or both')];
    return rule.webhooks.flatMap((name, w) => {
      if (!inventory?.webhooks || inventory.webhooks.includes(name)) return [];
      const known = inventory.webhooks.join(', ') || 'none';
      return [problem([...at, 'webhooks', w], `"${name}"`, `a webhook of the configuration: ${known}`)];
    });
  });
}
