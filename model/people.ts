/** People and what they may be. */
export const roles = ['viewer', 'auditor', 'operator', 'coordinator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Where a person's role holds. */
export interface AccessScope {
  readonly kind: 'site' | 'runbook';
  readonly name: string;
}

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Absent or empty: everywhere. */
  readonly scopes?: readonly AccessScope[];
}
