/** How a run is as a whole, for the foot of a terminal and for plain lines: the waves of a plan, and the time that is left. */
import { timeLeftWords } from '../../model/estimate/words';
import type { PlanView } from '../../model/plan-view/plan-view';
import type { ServerStage } from '../../model/plan-view/server-of-plan';
import type { PartView, StageCounts, WaveView } from '../../model/plan-view/waves';
import type { RunDetail } from '../documents';
import { paragraph, table, type Output } from '../output';
import { bar } from '../show-plan';

interface Row {
  readonly name: string;
  readonly servers: number;
  readonly done: number;
  readonly running: number;
  readonly waiting: number;
  readonly stuck: number;
  readonly failed: number;
}

/** What a person has to look at comes under its own head; what is not counted has not begun. */
const headOf: Readonly<Partial<Record<ServerStage, 'running' | 'waiting' | 'stuck' | 'failed'>>> = {
  stuck: 'stuck',
  waiting: 'waiting',
  held: 'waiting',
  running: 'running',
  undoing: 'running',
  failed: 'failed',
  aborted: 'failed',
  undone: 'failed',
};

export function rowsOf({ waves, parts }: PlanView): Row[] {
  const ofWave = ({ name, counts, done, servers, gate }: WaveView): Row => {
    const row = rowOf(name, servers.length, done, counts);
    // A gate that waits is somebody's turn, although no server of the wave has begun.
    return gate?.state === 'waiting' ? { ...row, waiting: row.waiting + 1 } : row;
  };
  const ofPart = ({ name, counts, serverCount, done }: PartView): Row => rowOf(`+ ${name}`, serverCount, done, counts);
  return [...waves.map(ofWave), ...parts.map(ofPart)];
}

function rowOf(name: string, servers: number, done: number, counts: StageCounts): Row {
  const sum = (head: string): number =>
    Object.entries(counts).reduce(
      (all, [stage, count]) => (headOf[stage as ServerStage] === head ? all + count : all),
      0,
    );
  const numbers = { running: sum('running'), waiting: sum('waiting'), stuck: sum('stuck'), failed: sum('failed') };
  return { name, servers, done, ...numbers };
}

/** For the foot of a terminal: no line longer than `width`, no more than `height` of them. */
export function stateBlock({ width, height }: { width: number; height: number }, detail: RunDetail): string[] {
  const left = leftLines({ width }, detail);
  if (detail.kind === 'server') return left;
  const rows = rowsOf(detail.view);
  const room = Math.max(1, height - left.length - 2);
  // What is over gives way first, then what has not begun.
  const urgent = [...rows].sort((a, b) => rank(a) - rank(b)).slice(0, room);
  const shown = rows.length <= room ? rows : rows.filter((row) => urgent.includes(row));
  const more = rows.length - shown.length;
  return [...waveTable({ width }, shown), ...(more === 0 ? [] : [`and ${more} more waves`]), ...left];
}

const rank = ({ done, servers, running, waiting, stuck, failed }: Row): number =>
  stuck + waiting > 0 ? 0 : running + failed > 0 ? 1 : done < servers ? 2 : 3;

function waveTable(out: Pick<Output, 'width'>, rows: readonly Row[]): string[] {
  const columns = [
    { title: 'wave', width: 16, grows: true },
    { title: 'done', width: 9, right: true },
    { title: '', width: 12 },
    ...['running', 'waiting', 'stuck', 'failed'].map((title) => ({ title, width: 7, right: true })),
  ];
  const number = (count: number): string => (count === 0 ? '·' : String(count));
  const cells = rows.map(({ name, done, servers, running, waiting, stuck, failed }) => [
    name.length <= 24 ? name : `${name.slice(0, 23)}…`,
    `${done}/${servers}`,
    bar(done, servers),
    ...[running, waiting, stuck, failed].map(number),
  ]);
  return table(out, columns, cells).split('\n');
}

function leftLines(out: Pick<Output, 'width'>, { timeLeft }: RunDetail): string[] {
  return timeLeft === null ? [] : paragraph(out, 'left', timeLeftWords(timeLeft)).split('\n');
}

/** For plain output: remembers what it said, and says of a wave what has changed since, then what is left. */
export class StateLines {
  private readonly said = new Map<string, string>();
  private saidLeft = '';

  constructor(private readonly out: Pick<Output, 'width'>) {}

  of(detail: RunDetail): string[] {
    const all = detail.kind === 'plan' ? rowsOf(detail.view).map(wordsOf) : [stepWords(detail)];
    const news = all.filter(({ name, words }) => this.said.get(name) !== words);
    for (const { name, words } of news) this.said.set(name, words);
    if (news.length === 0) return [];
    const indent = indentOf(all.map(({ name }) => name));
    const waves = detail.kind === 'plan' ? news.map(({ name, words }) => line(this.out, name, words, indent)) : [];
    return [...waves, ...this.left(detail)];
  }

  /** While nothing is known, the same words say nothing new. */
  private left(detail: RunDetail): string[] {
    const lines = leftLines(this.out, detail);
    const news = lines.join('\n') !== this.saidLeft;
    this.saidLeft = lines.join('\n');
    return news ? lines : [];
  }
}

/** The same for every wave, so that they stand in columns. */
const indentOf = (names: readonly string[]): number =>
  Math.min(30, Math.max(11, ...names.map((name) => name.length + 1)));

const line = (out: Pick<Output, 'width'>, name: string, words: string, indent: number): string =>
  paragraph(out, name.length < indent ? name : `${name.slice(0, indent - 2)}…`, words, indent);

function wordsOf({ name, done, servers, running, waiting, stuck, failed }: Row): { name: string; words: string } {
  const others = Object.entries({ running, waiting, stuck, failed }).filter(([, count]) => count > 0);
  return { name, words: [`${done}/${servers} done`, ...others.map(([head, count]) => `${count} ${head}`)].join(', ') };
}

const stepWords = ({ view }: RunDetail): { name: string; words: string } => ({
  name: 'step',
  words: view.currentStep ?? '',
});
