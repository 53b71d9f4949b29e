/** Secrets that are nobody's, and the search for them in any form in which a program may have written them down. */

export interface Canary {
  /** What kind of secret it stands for. */
  readonly name: string;
  readonly value: string;
}

export interface Found {
  readonly canary: string;
  readonly form: string;
  readonly place: string;
}

export interface Search {
  /** Looks through these bytes; what is found is kept under the name of the place. */
  in(place: string, bytes: Buffer | string): void;
  /** One more to look for from now on. */
  add(canary: Canary): void;
  readonly found: readonly Found[];
  /** Places that were looked through, and how many bytes they had. */
  readonly looked: ReadonlyMap<string, number>;
}

/** A search for all forms of these canaries. */
export function searchFor(canaries: readonly Canary[]): Search {
  const needlesOf = ({ name, value }: Canary) =>
    [...formsOf(value)].map(([form, bytes]) => ({ canary: name, form, bytes }));
  const needles = canaries.flatMap(needlesOf);
  const found: Found[] = [];
  const isKnown = (one: Found): boolean =>
    found.some(({ canary, form, place }) => canary === one.canary && form === one.form && place === one.place);
  const looked = new Map<string, number>();
  return {
    found,
    looked,
    add: (canary) => void needles.push(...needlesOf(canary)),
    in(place, bytes) {
      const text = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
      looked.set(place, (looked.get(place) ?? 0) + text.length);
      for (const { canary, form, bytes: needle } of needles)
        if (text.includes(needle) && !isKnown({ canary, form, place })) found.push({ canary, form, place });
    },
  };
}

/** Every form by its name; those that are equal to another one are left out. */
export function formsOf(value: string): Map<string, Buffer> {
  const bytes = Buffer.from(value);
  const json = (text: string): string => JSON.stringify(text).slice(1, -1);
  const html = value.replace(/[&<>"'`=]/g, (one) => `&#${one.charCodeAt(0)};`);
  const named = html.replaceAll('&#60;', '&lt;').replaceAll('&#62;', '&gt;').replaceAll('&#34;', '&quot;');
  const forms: [string, string | Buffer][] = [
    ['as it is', value],
    ['in JSON', json(value)],
    ['in JSON in JSON', json(json(value))],
    ['in a URL', encodeURIComponent(value)],
    ['in a URL, lower case', encodeURIComponent(value).replace(/%../g, (code) => code.toLowerCase())],
    ['in a form', new URLSearchParams({ v: value }).toString().slice(2)],
    ['in HTML', html],
    ['in HTML, named', named],
    ['hexadecimal', bytes.toString('hex')],
    ['hexadecimal, upper case', bytes.toString('hex').toUpperCase()],
    ['UTF-16', Buffer.from(value, 'utf16le')],
    ['backwards', [...value].reverse().join('')],
    ...[0, 1, 2].flatMap((offset): [string, string][] => [
      [`base64 at ${offset}`, base64At(bytes, offset, 'base64')],
      [`base64url at ${offset}`, base64At(bytes, offset, 'base64url')],
    ]),
  ];
  const seen = new Set<string>();
  const different = forms.filter(([, form]) => {
    const key = Buffer.from(form as string).toString('latin1');
    return !seen.has(key) && seen.add(key);
  });
  return new Map(different.map(([name, form]) => [name, Buffer.from(form as string)]));
}

/** What these bytes look like inside of longer base64, after `offset` other bytes: without the characters they share with neighbours. */
function base64At(bytes: Buffer, offset: number, encoding: 'base64' | 'base64url'): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString(encoding)
    .replace(/=+$/, '');
  const whole = Math.floor(((offset + bytes.length) * 8) / 6);
  return text.slice(Math.ceil((offset * 8) / 6), whole);
}
