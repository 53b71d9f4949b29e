/** Where a secret is, never the secret: this is what stands in orders, histories and the journal (design: law 8). */

export interface SecretRef {
  /** `file`: in the folder of secrets of the worker that needs it. `environment`: a variable of that worker. */
  readonly from: 'file' | 'environment';
  /** Name of the file or of the variable; no path. */
  readonly name: string;
}

/** Only variables with such a name are for orders to read; they are kept from every program that Muster starts. */
export const secretVariablePrefix = 'MUSTER_SECRET_';

/** `file:NAME` or `environment:NAME`, as people write it. */
export const secretRefPattern = /^(file|environment):([A-Za-z0-9][A-Za-z0-9._-]{0,99})$/;

/** Null where the text is no reference. */
export function parseSecretRef(text: string): SecretRef | null {
  const match = secretRefPattern.exec(text);
  return match === null ? null : { from: match[1] as SecretRef['from'], name: match[2]! };
}

export const describeSecretRef = ({ from, name }: SecretRef): string => `${from}:${name}`;
