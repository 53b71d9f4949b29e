/** Types for tests. */
export function isNewEnough(version: string): boolean;
