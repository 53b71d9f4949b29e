/** People and what they may be. */
export const roles = ['viewer', 'auditor', 'operator', 'coordinator', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}
