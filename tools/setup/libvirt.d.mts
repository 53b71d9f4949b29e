/** Types for tests. */
export function closedFolder(folder: string): string | undefined;
