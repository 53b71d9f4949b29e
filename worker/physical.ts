/** The physical machines of a site, from its configuration. */
import { join } from 'node:path';
import type { Secrets } from '../activities/secrets';
import type { MachineConfig, RecoverySiteConfig } from '../config/configuration';
import { OperatorError } from '../model/errors';
import { parseSecretRef } from '../model/secrets';
import type { Platform } from '../platforms/contract';
import type { MachinePower, PhysicalMachine, PhysicalOptions, SerialConsole } from '../platforms/physical/machine';
import { createPhysicalPlatform } from '../platforms/physical/platform';

/** Undefined for a site without any. Opens nothing that needs an answer. */
export function openPhysical(site: RecoverySiteConfig, secret: Secrets): Platform | undefined {
  return site.machines.length === 0 ? undefined : createPhysicalPlatform(physicalOptions(site, secret));
}

/** The machines as their platform knows them, and where it keeps what it knows of them. */
export function physicalOptions(site: RecoverySiteConfig, secret: Secrets): PhysicalOptions {
  const { id, machines } = site;
  return { id, folder: join(site.folder, 'physical'), machines: machines.map(machineOf), secret, clock: Date.now };
}

function machineOf({ nics, disks, power, serialConsole, ...machine }: MachineConfig): PhysicalMachine {
  return {
    ...machine,
    nics: nics.map((nic, index) => ({ ...nic, index })),
    disks: disks.map(({ device, serial }, index) => ({ index, device, serial: serial ?? null })),
    power: powerOf(power),
    serialConsole: serialConsole === undefined ? null : consoleOf(serialConsole),
  };
}

function powerOf(power: MachineConfig['power']): MachinePower {
  if ('person' in power) return { kind: 'person', instructions: power.person };
  const { password, caFile, ...redfish } = power.redfish;
  const ref = parseSecretRef(password);
  if (ref === null) throw new OperatorError({ what: 'the password of a machine is no reference to a secret' });
  return { kind: 'redfish', redfish: { ...redfish, password: ref, caFile: caFile ?? null } };
}

function consoleOf(wanted: NonNullable<MachineConfig['serialConsole']>): SerialConsole {
  if ('file' in wanted) return { kind: 'file', path: wanted.file };
  if ('socket' in wanted) return { kind: 'socket', path: wanted.socket };
  return { kind: 'tcp', host: wanted.host, port: wanted.port };
}
