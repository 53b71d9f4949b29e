/**
 * The evidence folder as the effects see it.
 *
 * Evidence that cannot be kept does not fail the effect (design: law 5, recovery does not wait for the record). The
 * reference then still says what was seen, by its SHA-256, and in its name that the file was not kept; verification
 * finds it missing.
 */
import { isMusterError } from '../model/errors';
import { sha256Hex } from '../record/canonical';
import { openEvidenceStore, type EvidenceOptions, type EvidenceStore } from '../record/evidence';
import { evidenceMediaType, evidenceName } from '../record/evidence-names';
import type { EvidenceKeeper } from './evidence-keeper';

/**
 * @param onLost told about every file that could not be kept: for the worker's log
 */
export function createEvidenceKeeper(
  options: Pick<EvidenceOptions, 'folder' | 'maxBytes'>,
  onLost: (name: string, error: Error) => void,
): EvidenceKeeper {
  const stores = new Map<string, EvidenceStore>();
  const storeOf = (owner: { tenantId: string; coreId: string }): EvidenceStore => {
    const key = `${owner.tenantId}/${owner.coreId}`;
    const store = stores.get(key) ?? openEvidenceStore({ ...options, ...owner });
    stores.set(key, store);
    return store;
  };
  return {
    put: async (owner, bytes, name, mediaType) => {
      try {
        return await storeOf(owner).put(bytes, name, mediaType);
      } catch (error) {
        // Storage, rights or size are in the way; anything else is a defect.
        if (!isMusterError(error)) throw error;
        onLost(name, error);
        return {
          sha256: sha256Hex(bytes),
          name: `${evidenceName(name)} (not kept)`,
          mediaType: evidenceMediaType(mediaType),
          sizeBytes: bytes.byteLength,
        };
      }
    },
  };
}
