/** One check of the preflight. */
import type { PreflightReport } from './contract';

export type Check = PreflightReport['checks'][number];

export const check = (
  name: string,
  ok: boolean,
  found: string,
  needed: string,
  severity: Check['severity'] = 'problem',
): Check => ({ name, ok, severity, found, needed });
