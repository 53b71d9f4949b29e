/** What an attempt needs of the evidence store: keep bytes, get the reference that goes into the record. */
import type { EvidenceRef } from '../model/events';

export interface EvidenceKeeper {
  put(
    owner: { tenantId: string; coreId: string },
    bytes: Uint8Array,
    name: string,
    mediaType: string,
  ): Promise<EvidenceRef>;
}
