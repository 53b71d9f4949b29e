/** Names of the networks that a rehearsal makes for itself. */
import { shortId } from '../ids';
import { isolatedNetwork } from '../runbook/runbook';

/**
 * Source network -> network of the run, for those that are mapped to `isolated` or to nothing: a rehearsal without a map is
 * isolated. The same source network has the same name for every server of the run, so that they reach each other.
 */
export function isolatedNetworks(
  sources: readonly string[],
  map: Readonly<Record<string, string>>,
  ownerRunId: string,
): Record<string, string> {
  const isolated = sources.filter((source) => (map[source] ?? isolatedNetwork) === isolatedNetwork);
  return Object.fromEntries(isolated.map((source) => [source, isolatedNetworkName(source, ownerRunId)]));
}

/** Longest network name that every platform takes. */
const longest = 63;

/** Platforms take few letters; what is lost by that, and by length, is told apart by a sum of the whole name. */
export function isolatedNetworkName(source: string, ownerRunId: string): string {
  const clean = source.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '');
  const end = `-${shortId(ownerRunId)}`;
  const room = longest - 'rehearsal-'.length - end.length;
  if (clean === source && clean !== '' && clean.length <= room) return `rehearsal-${clean}${end}`;
  const sum = `-${sumOf(source)}`;
  return `rehearsal-${clean.slice(0, room - sum.length)}${sum}${end}`;
}

/** FNV-1a, 32 bit, in base 36: names of one plan that differ stay different. */
function sumOf(text: string): string {
  let sum = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return sum.toString(36);
}
