/** Whose something at a site is. */
import type { Owner } from './contract';

/** Both are a run's, and the same run's; what belongs to nobody is nobody's own. */
export function sameOwner(a: Owner | null | undefined, b: Owner | null | undefined): boolean {
  return a != null && b != null && a.tenantId === b.tenantId && a.runId === b.runId;
}
