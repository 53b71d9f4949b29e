/**
 * Lines at the bottom of a terminal that are redrawn, with normal lines scrolling above them. Own code: the kept
 * libraries for this are ESM-only for newer Node, or draw their own bars.
 */
export interface LiveBlock {
  /** Prints above the block. */
  print(text: string): void;
  /** Replaces the block. No line may be longer than the terminal is wide. */
  draw(lines: readonly string[]): void;
  /** Removes the block. */
  clear(): void;
}

const clearToEnd = '\u001b[0J';
const upBy = (lines: number): string => (lines === 0 ? '' : `\u001b[${lines}A`);

export function liveBlock(stream: Pick<NodeJS.WriteStream, 'write'>): LiveBlock {
  let drawn: readonly string[] = [];
  const erase = (): string => `${upBy(drawn.length)}${drawn.length === 0 ? '' : `\r${clearToEnd}`}`;
  const show = (above: string, lines: readonly string[]): void => {
    stream.write(`${erase()}${above}${lines.map((line) => `${line}\n`).join('')}`);
    drawn = lines;
  };
  return {
    print: (text) => show(`${text}\n`, drawn),
    draw: (lines) => {
      if (lines.join('\n') !== drawn.join('\n')) show('', lines);
    },
    clear: () => show('', []),
  };
}
