/** A recovery site as it says of itself at this moment: what a runbook's names are checked against. */

export interface SiteView {
  /** By the names that orders use. */
  readonly networks: readonly { readonly name: string; readonly isolated: boolean }[];
  /** Ids of the hardware profiles that its hypervisor builds and its physical machines are. */
  readonly hardware: readonly string[];
  /** Programs that its workers may run for runbooks, by the names that scripts use; the asked worker's, and none where none are allowed. */
  readonly programs: readonly string[];
}
