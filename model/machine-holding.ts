/** Physical machines as people see them: whose each is, and giving one up. */

/** A given machine and what holds it. */
export interface MachineHolding {
  readonly name: string;
  /** Id of its hardware profile; null: it stands in no configuration any more, only its claim is left. */
  readonly hardware: string | null;
  readonly switchedBy: 'controller' | 'person';
  /** null: its controller did not tell. Of one that a person switches: what their last word was. */
  readonly power: 'off' | 'on' | 'paused' | 'crashed' | null;
  /** null: free. */
  readonly claim: MachineClaim | null;
  /** The machine's own disks, in its order. */
  readonly devices: readonly string[];
}

export interface MachineClaim {
  readonly tenantId: string;
  readonly runId: string;
  readonly claimedAt: string;
  readonly poweredOnAt: string | null;
}

/** Gives up the claim of `owner`, and of nobody else. */
export interface MachineRelease {
  readonly siteId: string;
  readonly machine: string;
  readonly owner: { readonly tenantId: string; readonly runId: string };
  /** A person's word for a machine that no program can ask. */
  readonly switchedOff: boolean;
}
