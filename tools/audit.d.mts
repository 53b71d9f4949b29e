export const allowed: ReadonlySet<string>;
export function strangers(
  lock: { packages: Record<string, { license?: string }> },
  licenceOf?: (place: string) => string | undefined,
): string[];
export function advisories(
  registry?: string,
): Promise<{ checked: false; because: string } | { checked: true; grave: string[] }>;
