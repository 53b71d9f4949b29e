/** The commands as data for completion: what can stand where, read from commander's own declarations. */
import type { Argument, Command, Option } from 'commander';

/** What a word can be: one of a closed set, a name asked from the API, a file, or something only the person knows. */
export type Values =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'asked'; readonly what: Asked }
  | { readonly kind: 'files' }
  | { readonly kind: 'free' };

export const asked = ['servers', 'runs', 'runbooks'] as const;
export type Asked = (typeof asked)[number];

export interface Word {
  readonly word: string;
  readonly description: string;
}

export interface Place {
  /** `muster servers add`. */
  readonly path: string;
  readonly commands: readonly Word[];
  /** Long and short flags, those of the commands above included. */
  readonly options: readonly Word[];
  /** Flags that take a value, with what it can be. */
  readonly optionValues: readonly (readonly [flag: string, values: Values])[];
  /** What each argument can be, in their order. */
  readonly arguments: readonly Values[];
}

/** Every command that a person sees, from the top. */
export function placesOf(program: Command): Place[] {
  return walk(program, '', []);
}

function walk(command: Command, above: string, inherited: readonly Option[]): Place[] {
  const path = `${above}${command.name()}`;
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...inherited];
  const children = help.visibleCommands(command).filter((child) => child.name() !== 'help');
  const place: Place = {
    path,
    commands: children.map((child) => ({ word: child.name(), description: child.description() })),
    options: options.flatMap((option) => flagsOf(option).map((word) => ({ word, description: option.description }))),
    optionValues: options
      .filter((option) => option.required || option.optional)
      .flatMap((option) => flagsOf(option).map((flag) => [flag, valuesOf(option)] as const)),
    arguments: command.registeredArguments.map(valuesOf),
  };
  // The program's own version is asked for before any command only.
  const down = [...inherited, ...command.options.filter(({ hidden, long }) => !hidden && long !== '--version')];
  return [place, ...children.flatMap((child) => walk(child, `${path} `, down))];
}

const flagsOf = ({ short, long }: Option): string[] =>
  [long, short].filter((flag) => flag !== undefined && flag !== null);

/** By the declared choices, else by the word in angle brackets, which the help prints too. */
function valuesOf(declared: Option | Argument): Values {
  if (declared.argChoices !== undefined) return { kind: 'choices', choices: declared.argChoices };
  const name = 'flags' in declared ? /[<[]([\w-]+)/.exec(declared.flags)?.[1] : declared.name();
  if (name === 'run') return { kind: 'asked', what: 'runs' };
  if (name === 'runbook') return { kind: 'asked', what: 'runbooks' };
  if (name === 'file') return { kind: 'files' };
  const isServer = name === 'server' || (name === 'name' && namesServer.test(declared.description));
  return isServer ? { kind: 'asked', what: 'servers' } : { kind: 'free' };
}

/** `server, by name or id`, `only runs of this server`; not `what people call it`, which is new. */
const namesServer = /\bserver\b|^name or id$/;
