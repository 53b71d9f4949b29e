/** People and what they may be. */
export const roles = ['viewer', 'auditor', 'operator', 'coordinator', 'admin'] as const;
export type Role = (typeof roles)[number];

export const scopeKinds = ['site', 'runbook'] as const;

/** Where a person's role holds. */
export interface AccessScope {
  readonly kind: (typeof scopeKinds)[number];
  readonly name: string;
}

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Absent or empty: everywhere. */
  readonly scopes?: readonly AccessScope[];
}
