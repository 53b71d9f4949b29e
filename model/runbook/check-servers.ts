/** Servers against the inventory and against each other. */
import { defaultMachineNames, machineNameFrom } from '../names';
import type { Mode } from '../order';
import type { RunbookFile } from '../schema/runbook';
import { hardwareProfiles } from '../server';
import type { Inventory, InventoryServer, InventorySite } from './check';
import { isolatedNetwork } from './runbook';
import { problem, unknownName, warning, type PlaceInFile, type RunbookProblem } from './problems';

type ServerFile = RunbookFile['waves'][number]['servers'][number];

/** A server of the file with what it is in the inventory. */
export interface Placed {
  readonly at: PlaceInFile;
  readonly server: ServerFile;
  readonly known: InventoryServer | undefined;
  readonly siteId: string | undefined;
}

const modesOfFile = ['recovery', 'rehearsal'] as const satisfies readonly Mode[];

export function checkServers(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const placed = place(file, inventory);
  return [
    ...(inventory === null ? [] : placed.flatMap((one) => againstInventory(file, one, inventory))),
    ...machineNames(placed),
    ...addresses(placed),
    ...modesOfFile.flatMap((mode) => (inventory === null ? [] : networks(file, placed, mode, inventory))),
  ];
}

export function place(file: RunbookFile, inventory: Inventory | null): Placed[] {
  return file.waves.flatMap((wave, w) =>
    wave.servers.map((server, s) => {
      const known = inventory?.servers.get(server.name);
      return {
        at: ['waves', w, 'servers', s],
        server,
        known,
        siteId: server.site ?? file.defaults.site ?? known?.recoverySiteId,
      };
    }),
  );
}

function againstInventory(
  file: RunbookFile,
  { at, server, known, siteId }: Placed,
  inventory: Inventory,
): RunbookProblem[] {
  if (known === undefined) {
    const known = [...inventory.servers.keys()];
    const remedy = 'Add it with `muster servers add`, or take it out.';
    return [unknownName([...at, 'name'], server.name, known, 'a server of the inventory (`muster servers`)', remedy)];
  }
  const problems: RunbookProblem[] = [];
  const site = siteId === undefined ? undefined : inventory.sites.get(siteId);
  const named = server.site ?? file.defaults.site;
  if (named !== undefined && !inventory.sites.has(named)) {
    const place = server.site === undefined ? ['defaults', 'site'] : [...at, 'site'];
    problems.push(problem(place, `"${named}"`, `one of ${[...inventory.sites.keys()].join(', ')}`));
  } else if (siteId !== known.recoverySiteId && !(site !== undefined && isStillToTurn(file, siteId, known))) {
    const needed = `${known.recoverySiteId}, where its replica is`;
    problems.push(problem([...at, 'site'], `site ${siteId}`, needed));
  }
  const hardware = server.hardware ?? file.defaults.hardware;
  if (hardware === undefined) {
    problems.push(
      problem([...at, 'hardware'], 'nothing', 'the hardware that it is recovered onto, here or in `defaults`'),
    );
  } else if (site?.hardware && !site.hardware.includes(hardware)) {
    problems.push(problem([...at, 'hardware'], hardware, `what site ${siteId} has: ${site.hardware.join(', ')}`));
  } else problems.push(...physicalMachine({ at, server, known, siteId }, hardware, site));
  for (const [index, { nic }] of server.addresses.entries()) {
    if (nic < known.networks.length) continue;
    const needed = `a card that ${server.name} has: 0 to ${known.networks.length - 1}`;
    problems.push(problem([...at, 'addresses', index, 'nic'], `card ${nic}`, needed));
  }
  return [...problems, ...readdressing({ at, server, known, siteId })];
}

/**
 * A failback is written, checked and imported long before its servers are protected that way; their networks are not known until
 * then. That it cannot be run yet is said of its order (orders/servers-of-plan.ts).
 */
function isStillToTurn(
  { direction }: Pick<RunbookFile, 'direction'>,
  siteId: string | undefined,
  known: Pick<InventoryServer, 'recoverySiteId'>,
): boolean {
  return direction === 'failback' && siteId !== undefined && siteId !== known.recoverySiteId;
}

/** The preflight would refuse it as well, on the day on which there is no time for it. */
function readdressing({ at, server, known }: Placed): RunbookProblem[] {
  const { family, prettyName } = known?.os ?? { family: 'linux' };
  if (family === 'linux' || server.addresses.length === 0) return [];
  const system = prettyName ?? (family === 'windows' ? 'a Windows' : 'a system that is not known');
  const found = `new addresses for ${server.name}, which runs ${system}`;
  const needed = 'a Linux; no other system is given addresses (docs/re-addressing.md)';
  const remedy =
    'Take `addresses` out, and set them by a script in the guest (`on: guest`, after `power-on`) or let DHCP at the recovery site give them.';
  return [(family === 'windows' ? problem : warning)([...at, 'addresses'], found, needed, remedy)];
}

/** A physical machine is there already: it has to be named, and to be what the runbook takes it for. */
function physicalMachine({ at, server, siteId }: Placed, hardware: string, site?: InventorySite): RunbookProblem[] {
  if (site?.machines === undefined || hardwareProfiles[hardware]?.kind !== 'physical') return [];
  const fitting = site.machines.filter((machine) => machine.hardware === hardware).map(({ name }) => name);
  const needed = `a physical machine of site ${siteId} with ${hardware}: ${fitting.join(', ') || 'none is configured'}`;
  if (server.machineName === undefined) return [problem([...at, 'machineName'], 'no `machineName`', needed)];
  if (fitting.includes(server.machineName)) return [];
  return [unknownName([...at, 'machineName'], server.machineName, fitting, needed)];
}

/** Two machines of one name at one site are one machine too many. Rehearsals have names of their own by run. */
function machineNames(placed: readonly Placed[]): RunbookProblem[] {
  const first = new Map<string, Placed>();
  return placed.flatMap((one) => {
    const name = one.server.machineName ?? nameByDefault(one);
    const key = `${one.siteId ?? ''}/${name}`;
    const before = first.get(key);
    if (before === undefined) {
      first.set(key, one);
      return [];
    }
    const at = [...one.at, one.server.machineName === undefined ? 'name' : 'machineName'];
    return [problem(at, `the machine name ${name}, which ${before.server.name} claims, too`, 'a name for each')];
  });
}

function nameByDefault({ server, siteId = '' }: Placed): string {
  const facts = { serverName: server.name, mode: 'recovery' as const, siteId, runId: '' };
  return machineNameFrom(defaultMachineNames.recovery, facts);
}

function addresses(placed: readonly Placed[]): RunbookProblem[] {
  return modesOfFile.flatMap((mode) => {
    const first = new Map<string, string>();
    return placed.flatMap(({ at, server }) =>
      server.addresses.flatMap((one, index) => {
        const ip = one[mode]?.ip.split('/')[0];
        if (ip === undefined) return [];
        const before = first.get(ip);
        first.set(ip, before ?? server.name);
        if (before === undefined) return [];
        return [
          problem([...at, 'addresses', index, mode, 'ip'], `${ip}, which ${before} claims, too`, 'an address for each'),
        ];
      }),
    );
  });
}

/** Each card of each server must know where it is plugged in. */
function networks(file: RunbookFile, placed: readonly Placed[], mode: Mode, inventory: Inventory): RunbookProblem[] {
  return placed.flatMap(({ at, server, known, siteId }) => {
    const site = siteId === undefined ? undefined : inventory.sites.get(siteId);
    if (known !== undefined && isStillToTurn(file, siteId, known)) return [];
    const map = { ...file.networks[mode], ...file.defaults.networks?.[mode], ...server.networks?.[mode] };
    return [...new Set(known?.networks ?? [])].flatMap((source) => {
      const target = map[source];
      const own = server.networks?.[mode]?.[source] !== undefined;
      const place = own
        ? [...at, 'networks', mode, source]
        : file.networks[mode][source] === undefined
          ? [...at, 'name']
          : ['networks', mode, source];
      if (target === undefined) {
        // A rehearsal without a map is isolated; a recovery without one would wake unplugged.
        if (mode === 'rehearsal') return [];
        const needed = `a network of site ${siteId} for it, in \`networks.recovery\``;
        return [problem(place, `no network for "${source}" of ${server.name}`, needed)];
      }
      if (target === isolatedNetwork && mode === 'rehearsal') return [];
      const network = site?.networks?.get(target);
      if (site?.networks && network === undefined) {
        return [
          problem(
            place,
            `"${target}"`,
            `a network of site ${siteId}: ${[...site.networks.keys()].join(', ') || 'none'}`,
          ),
        ];
      }
      if (mode === 'rehearsal' && network && !network.isolated) {
        return [problem(place, `"${target}", which is not isolated`, `\`${isolatedNetwork}\`, or an isolated network`)];
      }
      return [];
    });
  });
}
