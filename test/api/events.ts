/** Server-sent events of a whole answer, in short: `3 step-announced`, `end {…}`. Progress is left out: it depends on time. */
export function fingerprintsOf(text: string): string[] {
  return text
    .split('\n\n')
    .map((block) => Object.fromEntries(block.split('\n').map((line) => /^(\w*): ?(.*)$/.exec(line)?.slice(1) ?? [])))
    .filter(({ event }) => event === 'event' || event === 'end')
    .map(({ event, id, data }) => (event === 'end' ? `end ${data}` : `${id} ${JSON.parse(data as string).kind}`));
}
