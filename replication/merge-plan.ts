/** Which point goes when there are more than are kept. Pure. */
import type { PointManifest } from '../model/replica';

export type MergePlan =
  /** The oldest point's file takes in the next layer. */
  | { readonly kind: 'absorb'; readonly from: PointManifest; readonly into: PointManifest }
  /** A whole old chain goes (a later full copy stands on its own). */
  | { readonly kind: 'discard'; readonly points: readonly PointManifest[] };

/** A base, the layer that it takes in, and one above, which the target server's job needs. */
const shortestMergeable = 3;

/** What to do with complete points, oldest first, of which `keepPoints` (at least two) are to stay; null: nothing. */
export function planMerge(points: readonly PointManifest[], keepPoints: number): MergePlan | null {
  const keep = Math.max(2, keepPoints);
  const excess = points.length - keep;
  if (excess <= 0) return null;
  const oldest = oldestChain(points);
  if (oldest.length >= shortestMergeable) return { kind: 'absorb', from: oldest[0]!, into: oldest[1]! };
  // The last points of a chain that was given up cannot be merged further; they go together once they are all in excess.
  return oldest.length <= excess ? { kind: 'discard', points: oldest } : null;
}

function oldestChain(points: readonly PointManifest[]): PointManifest[] {
  const chain = new Map<string, PointManifest>();
  for (const point of points) {
    if (chain.size === 0 || (point.parentPointId !== null && chain.has(point.parentPointId))) {
      chain.set(point.pointId, point);
    }
  }
  return [...chain.values()];
}
