/** KVM or emulation, by booting something: platforms/libvirt/acceleration.ts says why nothing less will do. */
import { join } from 'node:path';
import { findAcceleration } from '../../platforms/libvirt/acceleration';
import type { Check } from './check';
import { isLocalUri, type Place } from './place';
import { ok, warning, type Finding } from './report';

/** @param scratchFolder holds the answer, so that it is asked anew: the platform keeps its own for this boot of the host */
export function accelerationChecks({ configuration }: Place, scratchFolder: string): Check[] {
  if (!configuration.sites.some((site) => site.kind === 'libvirt' && isLocalUri(site.uri))) return [];
  return [
    {
      id: 'acceleration',
      title: 'hardware virtualisation (a guest of one sector is booted)',
      deadlineMs: 20_000,
      look: () => look(join(scratchFolder, 'acceleration.json')),
    },
  ];
}

async function look(file: string): Promise<Finding> {
  const { kind, because } = await findAcceleration(file);
  if (kind === 'kvm') return ok(`kvm: ${because}`, 'kvm');
  const remedy =
    'Everything works, several times slower. Turn virtualisation on in the firmware (or nested virtualisation at the outer host), load kvm_intel or kvm_amd, and let Muster open /dev/kvm (group kvm).';
  return warning(`${kind}: ${because}`, 'kvm', remedy);
}
