/** The commands as lines of `key<TAB>words`, the form that every shell's script holds; see scripts.ts for how it is used. */
import type { Place, Values } from './tree';

export interface Row {
  readonly key: string;
  readonly value: string;
}

/**
 * `c:PATH` its commands, `o:PATH` its flags, `v:PATH FLAG` and `v:PATH #N` what a flag's value or the Nth argument can be:
 * `choices:a b`, `ask:servers`, `files` or `free`.
 */
export function rowsOf(places: readonly Place[]): Row[] {
  return places.flatMap((place) => [
    { key: `c:${place.path}`, value: place.commands.map(({ word }) => word).join(' ') },
    { key: `o:${place.path}`, value: place.options.map(({ word }) => word).join(' ') },
    ...place.optionValues.map(([flag, values]) => ({ key: `v:${place.path} ${flag}`, value: spec(values) })),
    ...place.arguments.map((values, index) => ({ key: `v:${place.path} #${index + 1}`, value: spec(values) })),
  ]);
}

function spec(values: Values): string {
  switch (values.kind) {
    case 'choices':
      return `choices:${values.choices.join(' ')}`;
    case 'asked':
      return `ask:${values.what}`;
    default:
      return values.kind;
  }
}

/** For single quotes of a shell. Words come from our own declarations; this is for the day when one has a quote in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
