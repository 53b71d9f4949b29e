/** Types of order-of-files.js for its own test. */
export interface TestFile {
  readonly path: string;
  readonly seconds: number;
  /** Last time. */
  readonly failed: boolean;
}

export function orderFiles<F extends TestFile>(files: readonly F[], workers: number): F[];
export function secondsOf(path: string, measuredMs?: number): number;
