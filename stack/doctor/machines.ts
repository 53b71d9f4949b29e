/** Physical machines: each controller asked as a run would ask it, each disk looked at, and what holds them. */
import { access, constants } from 'node:fs/promises';
import { formatSize } from '../../model/durations';
import { readDevice } from '../../platforms/physical/device';
import { unfitness } from '../../platforms/physical/disks';
import type { MachineDevice, PhysicalMachine } from '../../platforms/physical/machine';
import { readRecord, recordFile } from '../../platforms/physical/marks';
import { openPhysicalSite, powerStateOf, type PhysicalSite } from '../../platforms/physical/site';
import { physicalOptions } from '../../worker/physical';
import type { Check } from './check';
import type { Place } from './place';
import { ok, problem, warning, type Finding } from './report';
import { secretsOf } from './secrets';

/** Management controllers are slow; one that takes longer keeps a run waiting. */
const answerTimeoutMs = 8_000;

/** Of the sites that this machine's worker works at: their disks are seen from here. */
export function machineChecks(place: Place): Check[] {
  const { sites, worker } = place.configuration;
  const mine = sites.filter(({ id, machines }) => worker.sites.includes(id) && machines.length > 0);
  return mine.flatMap((config) => {
    const site = openPhysicalSite({ ...physicalOptions(config, secretsOf(place)), answerTimeoutMs });
    return [
      ...site.machines.flatMap((machine) => checksOf(place, site, machine)),
      {
        id: `machines.${site.id}`,
        title: `claims on physical machines of site ${site.id}`,
        look: () => lookAtClaims(site),
      },
    ];
  });
}

function checksOf(place: Place, site: PhysicalSite, machine: PhysicalMachine): Check[] {
  const id = `machine.${site.id}.${machine.name}`;
  const { power } = machine;
  const controller: Check[] =
    power.kind === 'person'
      ? []
      : [
          {
            id: `${id}.controller`,
            title: `the controller of ${machine.name} at ${power.redfish.url}`,
            deadlineMs: answerTimeoutMs + 4_000,
            look: (signal) => lookAtController(place, site, machine, signal),
          },
        ];
  return [
    ...controller,
    ...machine.disks.map((slot) => ({
      id: `${id}.disk${slot.index}`,
      title: `disk ${slot.index} of ${machine.name}, ${slot.device}`,
      look: (signal: AbortSignal) => lookAtDisk(site, machine, slot, signal),
    })),
  ];
}

/** Reachable, user and password accepted, the system known, its state one that Muster knows: what fails says so itself. */
async function lookAtController(
  place: Place,
  site: PhysicalSite,
  machine: PhysicalMachine,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  if (machine.power.kind === 'person') return undefined;
  const { password, systemId, user, insecure } = machine.power.redfish;
  const has = await secretsOf(place)(password).then(
    () => true,
    () => false,
  );
  // The reference has a check of its own.
  if (!has) return undefined;
  const state = await powerStateOf(site, machine, undefined, { signal });
  const found = `system ${systemId} is ${state}, asked as ${user}`;
  const needed = 'a controller that tells the power state';
  if (!insecure) return ok(found, needed);
  const remedy = 'Name the authority of its certificate in caFile: whoever stands in between learns the password.';
  return warning(`${found}; any certificate is taken`, needed, remedy);
}

/** Whether the kernel gives the name in the order in which it finds disks. @internal exported for its test */
export const nameMoves = (device: string): boolean => /^\/dev\/(sd|vd|hd|nvme\d)/.test(device);

/** Asked without opening it for writing, which the kernel would tell others of. */
async function lookAtDisk(
  site: PhysicalSite,
  machine: PhysicalMachine,
  slot: MachineDevice,
  signal: AbortSignal,
): Promise<Finding> {
  const facts = await readDevice(slot.device, { signal });
  const connect = 'Connect the right disk, or correct it in the configuration and restart the worker.';
  const unfit = unfitness(slot, facts, 1);
  if (unfit !== null) return problem(`${slot.device}: ${unfit.found}`, unfit.needed, connect);
  const words = `${formatSize(facts.sizeBytes)}, ${await holderOf(site, machine, slot, facts.serial)}`;
  const needed = 'a disk that the worker may write';
  const writable = await access(facts.path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (writable && slot.serial === null && nameMoves(slot.device)) {
    const steady = 'Take its name below /dev/disk/by-id, or say its serial (lsblk -o NAME,SERIAL).';
    return warning(`${slot.device}, ${words}: a name that changes from boot to boot`, 'a name that stays', steady);
  }
  if (writable) return ok(words, needed);
  const remedy =
    'Ask again as the user that Muster runs as; if it is this one, give it the right (for a block device, usually group disk).';
  return problem(`${slot.device}, ${words}, cannot be read and written by this user`, needed, remedy);
}

/** By the machine's claim and by the record of what Muster last wrote to this disk. */
async function holderOf(
  site: PhysicalSite,
  machine: PhysicalMachine,
  slot: MachineDevice,
  serial: string | null,
): Promise<string> {
  const claim = await site.claims.read(machine.name);
  const record = await readRecord(recordFile(site.folder, { device: slot.device, serial }));
  const claimed = claim === undefined ? 'claimed by nobody' : `claimed by run ${claim.owner.runId}`;
  if (record === undefined) return `${claimed}, never written by Muster`;
  return `${claimed}, last written by run ${record.owner.runId} (${record.state} since ${record.at})`;
}

/** A claim on a machine that is no longer configured is found by nobody else. */
async function lookAtClaims(site: PhysicalSite): Promise<Finding> {
  const claims = await site.claims.all();
  const left = claims.filter((claim) => !site.machines.some(({ name }) => name === claim.machine));
  const needed = 'claims on configured machines only';
  if (left.length === 0) return ok(`${claims.length} of ${site.machines.length} claimed`, needed);
  const names = left.map(({ machine, owner }) => `${machine} (run ${owner.runId})`);
  return warning(
    `claimed and not configured: ${names.join(', ')}`,
    needed,
    `Bring the machine back into the configuration, or give it up: \`muster machines release ${left[0]!.machine} --site ${site.id} --reason …\`.`,
  );
}
