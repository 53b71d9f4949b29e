/** Names that somebody may have meant: few, and only those that are really near. */
import { distance } from './edit-distance';

const most = 3;

export function nearNames(wanted: string, known: readonly string[]): string[] {
  const lower = wanted.toLowerCase();
  const farthest = Math.max(1, Math.floor(wanted.length / 3));
  return known
    .map((name) => ({ name, far: farness(lower, name.toLowerCase()) }))
    .filter(({ far }) => far <= farthest)
    .sort((a, b) => a.far - b.far || a.name.localeCompare(b.name))
    .slice(0, most)
    .map(({ name }) => name);
}

/** A beginning of three or more letters counts as near, however long the rest. */
function farness(wanted: string, name: string): number {
  if (wanted.length >= 3 && name.startsWith(wanted)) return 1;
  return distance(wanted, name);
}

/** The one that was most likely meant. */
export const nearest = (wanted: string, known: readonly string[]): string | undefined => nearNames(wanted, known)[0];
