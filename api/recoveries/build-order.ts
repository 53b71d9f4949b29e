/** The complete order of a recovery, from what a person asked for, the server as it is known, and defaults. */
import { machineNameFrom, defaultMachineNames } from '../../model/names';
import type { Provenance, RecoveryOrder } from '../../model/order';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import type { PhysicalMachineFacts } from '../deps';
import { Problem } from '../problems';
import type { NewRecovery } from '../schemas/recoveries';

/** What holds where neither the request nor the server says otherwise; docs/api.md prints it. */
export const orderDefaults = {
  /** A source that answers does so at once; one that does not must not hold the recovery up. */
  sourceDeadlineMs: 20_000,
  /** A planned recovery waits for the source on purpose: until it has shut itself down, and for its last cycle. */
  plannedSourceDeadlineMs: 300_000,
  proof: { heartbeatTimeoutMs: 300_000, stableForMs: 30_000, screenshot: true },
  retry: { maxAttempts: 3, firstDelayMs: 2_000, factor: 2, maxDelayMs: 60_000 },
  reminderMs: 900_000,
} as const satisfies Partial<RecoveryOrder> & { plannedSourceDeadlineMs: number };

export interface OrderContext {
  readonly runId: string;
  readonly tenantId: string;
  readonly coreId: string;
  readonly requestedAt: string;
  readonly requestedBy: Provenance;
  /** Physical machines of the server's recovery site. */
  readonly physicalMachines?: readonly PhysicalMachineFacts[];
}

/** @throws Problem `validation` for a hardware profile that does not exist, and for what a physical machine cannot be asked. */
export function buildOrder(wanted: NewRecovery, server: ServerSpec, context: OrderContext): RecoveryOrder {
  const { physicalMachines: _, ...facts } = context;
  const { mode, intent, option, point, inoculate, powerOn, reason } = wanted;
  const hardware = hardwareProfiles[wanted.hardware];
  if (!hardware) {
    const known = Object.keys(hardwareProfiles).join(', ');
    throw new Problem('validation', `There is no hardware profile "${wanted.hardware}". Known: ${known}`);
  }
  const machine = hardware.kind === 'physical' ? givenMachine(wanted, server, context) : undefined;
  const name = { serverName: server.name, mode, siteId: server.recoverySiteId, runId: context.runId };
  return {
    ...facts,
    procedure: 'push-button-recovery',
    mode,
    intent,
    option,
    server,
    point,
    finalCycle: wanted.finalCycle ?? 'auto',
    verify: wanted.verify,
    sourceDeadlineMs: wanted.sourceDeadlineMs ?? sourceDeadlineMs(intent),
    target: {
      siteId: server.recoverySiteId,
      machineName: machine?.name ?? wanted.machineName ?? machineNameFrom(defaultMachineNames[mode], name),
      hardware,
      firmware: wanted.firmware ?? server.firmware,
      cpuCount: machine?.cpuCount ?? wanted.cpuCount ?? server.cpuCount,
      memoryBytes: machine?.memoryBytes ?? wanted.memoryBytes ?? server.memoryBytes,
      networks: wanted.networks,
      ...(wanted.overwriteDisks === undefined ? {} : { overwriteDisks: wanted.overwriteDisks }),
    },
    inoculate,
    powerOn,
    proof: { ...orderDefaults.proof, ...wanted.proof },
    retry: { ...orderDefaults.retry, ...wanted.retry },
    reminderMs: wanted.reminderMs ?? orderDefaults.reminderMs,
    lostAt: wanted.lostAt ?? null,
    reason,
  };
}

const sourceDeadlineMs = (intent: NewRecovery['intent']): number =>
  intent === 'planned' ? orderDefaults.plannedSourceDeadlineMs : orderDefaults.sourceDeadlineMs;

/** A physical machine is not made but named: it has its processors and memory, and its disks take copies. */
function givenMachine(wanted: NewRecovery, server: ServerSpec, context: OrderContext): PhysicalMachineFacts {
  const machines = context.physicalMachines ?? [];
  const fitting = machines.filter(({ hardware }) => hardware === wanted.hardware).map(({ name }) => name);
  const known = `Machines of site "${server.recoverySiteId}" with hardware ${wanted.hardware}: ${fitting.join(', ') || 'none'}`;
  if (wanted.machineName === undefined) {
    throw new Problem('validation', `machineName is missing: a physical machine is chosen, not made. ${known}`);
  }
  const machine = machines.find(({ name }) => name === wanted.machineName);
  if (machine === undefined || machine.hardware !== wanted.hardware) {
    const found = machine === undefined ? 'is not configured' : `has hardware ${machine.hardware}`;
    throw new Problem('validation', `Machine "${wanted.machineName}" ${found}. ${known}`);
  }
  if (wanted.cpuCount !== undefined || wanted.memoryBytes !== undefined) {
    throw new Problem(
      'validation',
      `"${machine.name}" is physical: cpuCount and memoryBytes are its own; leave them out`,
    );
  }
  if (wanted.option === 'destructive') {
    throw new Problem(
      'validation',
      `"${machine.name}" is physical: its disks are copies, so a destructive recovery has nothing to commit. Choose backup-and-recover`,
    );
  }
  return machine;
}
