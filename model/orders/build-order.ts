/** The complete order of one server's recovery, from what is wanted, the server as it is known, and defaults. */
import { machineNameFrom, defaultMachineNames } from '../names';
import type { Intent, Mode, ProofOrder, Provenance, RecoveryOrder, RetryPolicy, Verification } from '../order';
import type { PointId, RecoveryOption } from '../replica';
import { hardwareProfiles, type Firmware, type HardwareProfile, type ServerSpec } from '../server';
import { rehearsalProblem } from '../rehearsal';
import { orderDefaults, sourceDeadlineMs } from './defaults';
import { isolatedNetworks } from './isolated-networks';

/** What a person or a runbook asks for; what is absent comes from the server or from the defaults. */
export interface WantedRecovery {
  readonly mode: Mode;
  readonly intent: Intent;
  readonly option: RecoveryOption;
  readonly point: 'latest' | PointId;
  readonly finalCycle?: 'auto' | 'never';
  readonly verify?: Verification;
  /** Id of a profile; whether there is one is asked here. */
  readonly hardware: string;
  readonly firmware?: Firmware;
  readonly machineName?: string;
  readonly cpuCount?: number;
  readonly memoryBytes?: number;
  readonly networks: Readonly<Record<string, string>>;
  readonly overwriteDisks?: readonly string[];
  readonly inoculate: boolean;
  readonly powerOn: 'automatic' | 'decision';
  readonly lostAt?: string;
  readonly sourceDeadlineMs?: number;
  readonly reminderMs?: number;
  readonly proof?: Partial<ProofOrder>;
  readonly retry?: Partial<RetryPolicy>;
  readonly giveUpAfterMs?: number;
  /** Rehearsals: people are asked this before everything is cleaned up. */
  readonly tryOut?: RecoveryOrder['tryOut'];
  readonly reason: string;
}

/** What an order needs to know of a machine that is there already. */
export interface PhysicalMachineFacts {
  readonly name: string;
  readonly hardware: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** What a person has to do to switch it; absent: a controller does. */
  readonly powerByPerson?: string;
}

export interface OrderContext {
  readonly runId: string;
  readonly tenantId: string;
  readonly coreId: string;
  readonly requestedAt: string;
  readonly requestedBy: Provenance;
  /** Physical machines of the server's recovery site. */
  readonly physicalMachines?: readonly PhysicalMachineFacts[];
}

/** `refused` says what was found and what is needed, in one sentence or two. */
export type Built<T> = { readonly ok: T } | { readonly refused: string };

/** Refused: a hardware profile that does not exist, and what a physical machine cannot be asked. */
export function buildOrder(wanted: WantedRecovery, server: ServerSpec, context: OrderContext): Built<RecoveryOrder> {
  const hardware = hardwareProfiles[wanted.hardware];
  if (!hardware) {
    const known = Object.keys(hardwareProfiles).join(', ');
    return { refused: `There is no hardware profile "${wanted.hardware}". Known: ${known}` };
  }
  const problem = rehearsalProblem(wanted) ?? recoveryProblem(wanted);
  if (problem !== null) return { refused: `Found ${problem.found}, needed ${problem.needed}` };
  if (hardware.kind !== 'physical') return { ok: orderOnto(wanted, server, context, hardware, undefined) };
  const machine = givenMachine(wanted, server, context);
  return 'refused' in machine ? machine : { ok: orderOnto(wanted, server, context, hardware, machine.ok) };
}

function orderOnto(
  wanted: WantedRecovery,
  server: ServerSpec,
  context: OrderContext,
  hardware: HardwareProfile,
  machine: PhysicalMachineFacts | undefined,
): RecoveryOrder {
  const { physicalMachines: _, ...facts } = context;
  const { mode, intent, option, point, inoculate, powerOn, reason } = wanted;
  const networks = networksMade(wanted, server, context.runId, hardware);
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
      networks: { ...wanted.networks, ...networks },
      ...(wanted.overwriteDisks === undefined ? {} : { overwriteDisks: wanted.overwriteDisks }),
    },
    inoculate,
    powerOn,
    proof: { ...orderDefaults.proof, ...wanted.proof },
    retry: { ...orderDefaults.retry, ...wanted.retry },
    reminderMs: wanted.reminderMs ?? orderDefaults.reminderMs,
    ...(mode === 'rehearsal' ? rehearsalParts(wanted, server, context.runId, networks) : {}),
    lostAt: wanted.lostAt ?? null,
    reason,
  };
}

/** What only rehearsals have. */
function recoveryProblem({ mode, tryOut, giveUpAfterMs }: WantedRecovery): { found: string; needed: string } | null {
  if (mode === 'rehearsal' || (tryOut === undefined && giveUpAfterMs === undefined)) return null;
  const found = tryOut === undefined ? 'giveUpAfterMs in a recovery' : 'tryOut in a recovery';
  return { found, needed: 'mode rehearsal: a recovery is not cleaned up' };
}

/** Those of its source networks that a rehearsal has made for it; for given machines none is. */
function networksMade(
  { mode, networks }: WantedRecovery,
  { nics }: ServerSpec,
  runId: string,
  { kind }: HardwareProfile,
): Record<string, string> {
  if (mode !== 'rehearsal' || kind === 'physical') return {};
  return isolatedNetworks([...new Set(nics.map(({ network }) => network))], networks, runId);
}

function rehearsalParts(
  { tryOut, giveUpAfterMs }: WantedRecovery,
  { recoverySiteId: siteId }: ServerSpec,
  ownerRunId: string,
  made: Record<string, string>,
): Partial<RecoveryOrder> {
  return {
    isolation: { ownerRunId, networks: Object.values(made), siteId },
    giveUpAfterMs: giveUpAfterMs ?? orderDefaults.rehearsalGiveUpAfterMs,
    ...(tryOut === undefined ? {} : { tryOut }),
  };
}

/** A physical machine is not made but named: it has its processors and memory, and its disks take copies. */
function givenMachine(wanted: WantedRecovery, server: ServerSpec, context: OrderContext): Built<PhysicalMachineFacts> {
  const machines = context.physicalMachines ?? [];
  const fitting = machines.filter(({ hardware }) => hardware === wanted.hardware).map(({ name }) => name);
  const known = `Machines of site "${server.recoverySiteId}" with hardware ${wanted.hardware}: ${fitting.join(', ') || 'none'}`;
  if (wanted.machineName === undefined) {
    return { refused: `machineName is missing: a physical machine is chosen, not made. ${known}` };
  }
  const machine = machines.find(({ name }) => name === wanted.machineName);
  if (machine === undefined || machine.hardware !== wanted.hardware) {
    const found = machine === undefined ? 'is not configured' : `has hardware ${machine.hardware}`;
    return { refused: `Machine "${wanted.machineName}" ${found}. ${known}` };
  }
  if (wanted.cpuCount !== undefined || wanted.memoryBytes !== undefined) {
    return { refused: `"${machine.name}" is physical: cpuCount and memoryBytes are its own; leave them out` };
  }
  if (wanted.option === 'destructive') {
    return {
      refused: `"${machine.name}" is physical: its disks are copies, so a destructive recovery has nothing to commit. Choose backup-and-recover`,
    };
  }
  return { ok: machine };
}
