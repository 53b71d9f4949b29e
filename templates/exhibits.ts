/** Evidence inside the report: numbered, checked against its hash, images and text embedded where that is safe. */
import { createHash } from 'node:crypto';
import { formatSize, formatTime } from '../model/durations';
import { printableLines } from '../model/names';
import type { ReportEvidence } from '../model/report';

/** Reads a file of the evidence folder; undefined where it is not there. */
export type EvidenceReader = (sha256: string) => Buffer | undefined;

export interface Exhibit {
  readonly label: string;
  readonly anchor: string;
  readonly what: string;
  readonly where: string;
  readonly name: string;
  readonly size: string;
  readonly sha256: string;
  readonly takenAt: string;
  /** Empty: the file is there and its content has this hash. */
  readonly problem: string;
  readonly image: string;
  readonly text: string;
  readonly cut: string;
}

const imageMaxBytes = 8 * 1024 * 1024;
const textMaxBytes = 64 * 1024;
/** Formats that browsers show without running anything. The record's media type is a claim; these bytes are not. */
const imageTypes: readonly { readonly mediaType: string; readonly magic: Buffer }[] = [
  { mediaType: 'image/png', magic: Buffer.from([0x89, 0x50, 0x4e, 0x47]) },
  { mediaType: 'image/jpeg', magic: Buffer.from([0xff, 0xd8, 0xff]) },
];
const textTypes = /^(text\/|application\/(json|xml|yaml)\b)/;

/** Every file once, in the order in which it was recorded. */
export function exhibitsOf(evidence: readonly ReportEvidence[], read: EvidenceReader): Exhibit[] {
  const seen = new Set<string>();
  const distinct = evidence.filter(({ evidence: { sha256 } }) => !seen.has(sha256) && seen.add(sha256));
  return distinct.map((one, index) => exhibit(one, index + 1, read(one.evidence.sha256)));
}

function exhibit(one: ReportEvidence, number: number, content: Buffer | undefined): Exhibit {
  const { name, mediaType, sizeBytes, sha256 } = one.evidence;
  const problem = problemOf(sha256, content);
  const usable = problem === '' ? content! : Buffer.alloc(0);
  const isText = textTypes.test(mediaType);
  return {
    label: `E${number}`,
    anchor: `evidence-${number}`,
    what: one.what,
    where: [one.stepTitle ?? 'The run', one.item].filter((part) => part !== null).join(', '),
    name,
    size: formatSize(sizeBytes),
    sha256,
    takenAt: formatTime(one.at),
    problem,
    image: imageOf(usable),
    text: isText ? printableLines(usable.subarray(-textMaxBytes).toString('utf8')) : '',
    cut: isText && usable.length > textMaxBytes ? `Only the last ${formatSize(textMaxBytes)} are shown here.` : '',
  };
}

function problemOf(sha256: string, content: Buffer | undefined): string {
  if (content === undefined) return 'The file was not in the evidence folder when this report was made.';
  const found = createHash('sha256').update(content).digest('hex');
  return found === sha256 ? '' : `The file has changed: its SHA-256 is ${found}. It is not shown.`;
}

function imageOf(content: Buffer): string {
  const type = imageTypes.find(({ magic }) => content.subarray(0, magic.length).equals(magic));
  if (type === undefined || content.length > imageMaxBytes) return '';
  return `data:${type.mediaType};base64,${content.toString('base64')}`;
}
