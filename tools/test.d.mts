/** Types of test.mjs for its own test. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The fields of jest's JSON results that are read. */
export interface JestResults {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly numPendingTests?: number;
  readonly numTodoTests?: number;
  readonly numRuntimeErrorTestSuites?: number;
}

export function countJest(results: JestResults | undefined, exitCode: number): Counts;
export function summaryLine(counts: readonly Counts[]): string;
