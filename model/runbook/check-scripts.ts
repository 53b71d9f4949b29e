/** Scripts: where and when they run, and that they may. */
import { parseSecretRef } from '../secrets';
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { variableProblem } from './script-variables';
import type { ScriptOccasion } from './script-places';
import { problem, unknownName, warning, type PlaceInFile, type RunbookProblem } from './problems';

type ScriptFile = RunbookFile['scripts'][number];

export function checkScripts(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const seen = new Set<string>();
  return file.scripts.flatMap((script, index) => {
    const at = ['scripts', index];
    const repeated = seen.has(script.name)
      ? [problem([...at, 'name'], `the script "${script.name}" a second time`, 'each name once')]
      : [];
    seen.add(script.name);
    return [
      ...repeated,
      ...moment(file, script, at, inventory),
      ...program(script, at, inventory),
      ...environment(script, at),
    ];
  });
}

function moment(file: RunbookFile, script: ScriptFile, at: PlaceInFile, inventory: Inventory | null): RunbookProblem[] {
  const { step, wave, servers, when } = script;
  if ((step === undefined) === (wave === undefined)) {
    return [problem(at, step === undefined ? 'neither `step` nor `wave`' : '`step` and `wave`', 'one of them')];
  }
  if (wave !== undefined) {
    if (when === 'instead') return [problem([...at, 'when'], '`instead` of a wave', '`before` or `after` it')];
    if (script.on === 'guest') return [problem([...at, 'on'], 'a guest, at a wave', '`on: worker`, or a step')];
    if (script.in.includes('clean-up')) {
      return [problem([...at, 'in'], '`clean-up`, at a wave', 'other occasions, or a step of the clean-up')];
    }
    return unknown(
      [...at, 'wave'],
      wave,
      file.waves.map(({ name }) => name),
      'a wave of this file',
    );
  }
  const known = file.waves.flatMap((one) => one.servers.map(({ name }) => name));
  const strangers =
    servers === 'all'
      ? []
      : servers.flatMap((name, s) => unknown([...at, 'servers', s], name, known, 'a server of this file'));
  const steps = inventory === null ? [] : unknown([...at, 'step'], step!, inventory.steps, 'a step of the procedure');
  return [
    ...strangers,
    ...steps,
    ...(steps.length > 0 || inventory === null ? [] : possible(file, script, at, inventory)),
  ];
}

/** What this step cannot have there. */
function possible(
  file: RunbookFile,
  { step, when, on, in: wanted }: ScriptFile,
  at: PlaceInFile,
  { moments }: Inventory,
) {
  const here = moments?.get(step!);
  if (moments === undefined || here === undefined) return [];
  const problems: RunbookProblem[] = [];
  if (when === 'instead' && !here.replaceable) {
    const others = [...moments].flatMap(([name, { replaceable }]) => (replaceable ? [name] : []));
    const needed = `\`before\` or \`after\` it, or instead of ${others.join(', ')}`;
    problems.push(problem([...at, 'when'], `\`instead\` of ${step}, whose result is needed`, needed));
  }
  if (on === 'guest' && !here.guest.includes(when)) {
    problems.push(problem([...at, 'on'], `a guest, ${when} ${step}`, 'a step at which the guest runs'));
  }
  const done = here.in.filter((occasion) => occasion !== otherDirection(file));
  if (wanted.some((occasion) => done.includes(occasion))) return problems;
  const found = `${wanted.join(' and ')} only, at ${step}: it never runs`;
  return [...problems, warning([...at, 'in'], found, `${done.join(' or ')}, when ${step} is done`)];
}

/** Which of the two is never the occasion of this runbook's runs. */
const otherDirection = ({ direction }: RunbookFile): ScriptOccasion =>
  direction === 'failback' ? 'recovery' : 'failback';

function unknown(at: PlaceInFile, name: string, known: readonly string[], needed: string): RunbookProblem[] {
  if (known.includes(name)) return [];
  return [unknownName(at, name, known, needed)];
}

function program(script: ScriptFile, at: PlaceInFile, inventory: Inventory | null): RunbookProblem[] {
  const place = [...at, 'program'];
  if (script.on === 'guest') {
    // A Windows guest has drive letters.
    return /^(\/|[A-Za-z]:\\)/.test(script.program)
      ? []
      : [problem(place, `"${script.program}"`, 'the whole path of a program in the guest')];
  }
  if (/[/\\]/.test(script.program) || script.program.startsWith('.')) {
    return [
      problem(
        place,
        `"${script.program}"`,
        'the name of a program in the folder that the administrator allows, without a path',
      ),
    ];
  }
  if (!inventory?.programs) return [];
  return unknown(
    place,
    script.program,
    inventory.programs,
    `an allowed program: ${inventory.programs.join(', ') || 'none'}`,
  );
}

function environment(script: ScriptFile, at: PlaceInFile): RunbookProblem[] {
  const codes = Object.keys(script.exitCodes)
    .filter((code) => Number(code) > 255)
    .map((code) => problem([...at, 'exitCodes', code], code, 'an exit code from 0 to 255'));
  const variables = Object.keys(script.environment).flatMap((name) => {
    const because = variableProblem(name, script.on);
    return because === null ? [] : [problem([...at, 'environment', name], `${name}: ${because}`, 'another name')];
  });
  const secrets = Object.entries(script.environment).flatMap(([name, value]) => {
    if (typeof value === 'string' || parseSecretRef(value.secret) !== null) return [];
    return [
      problem(
        [...at, 'environment', name, 'secret'],
        'what is no reference (not shown: it may be the secret itself)',
        '`file:NAME` or `environment:MUSTER_SECRET_NAME`',
      ),
    ];
  });
  return [...codes, ...variables, ...secrets];
}
