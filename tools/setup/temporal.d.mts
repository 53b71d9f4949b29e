/** Types for tests. */
export const temporalVersion: string;
