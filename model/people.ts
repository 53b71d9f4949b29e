/** People and what they may be. */
export const roles = ['viewer', 'auditor', 'operator', 'coordinator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Those that may start, decide and approve; the others read. A runbook may name fewer people, never more. */
export const actingRoles: readonly Role[] = ['operator', 'coordinator', 'admin'];

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
