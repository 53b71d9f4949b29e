/** What can go wrong with a machine that is there already: another run's, working for somebody, disks that hold something. */
import type { RecoveryOrder } from '../model/order';
import type { Machine, Platform } from '../platforms/contract';
import type { Attempt } from './attempt';
import { callOptions, machineOf } from './common';
import type { PreflightReport } from './contract';

type Check = PreflightReport['checks'][number];

/** Everything at once. `machines`: what the platform lists. No check for a platform that makes its machines. */
export async function checkGivenMachine(
  order: RecoveryOrder,
  platform: Platform,
  machines: readonly Machine[],
  attempt: Attempt,
): Promise<Check[]> {
  const machine = machines.find(({ name }) => name === order.target.machineName);
  if (platform.given === undefined) return [];
  if (machine === undefined) {
    const known = machines.map(({ name }) => name).join(', ') || 'none';
    return [problem('machine', false, `no machine ${order.target.machineName}`, `one of ${known}`)];
  }
  const disks = order.server.disks.map(({ id, index, sizeBytes }) => ({ diskId: id, index, sizeBytes }));
  const { overwriteDisks } = order.target;
  const options = { ...callOptions(attempt), ...(overwriteDisks === undefined ? {} : { overwriteDisks }) };
  const findings = await platform.given.examine(machineOf(order), disks, options);
  return [
    checkFree(order, machine),
    problem('machine firmware', machine.firmware === order.target.firmware, machine.firmware, order.target.firmware),
    problem(
      'option',
      order.option !== 'destructive' || platform.capabilities.liveMerge,
      order.option,
      'an option that leaves the replica where it is: disks of this machine are copies',
    ),
    ...findings.map(({ diskId, ok, found, needed }) => problem(`disk for ${diskId}`, ok, found, needed)),
  ];
}

/** A machine of this run may be on: the run was here before. */
function checkFree({ runId }: RecoveryOrder, { name, owner, power }: Machine): Check {
  if (owner !== null) {
    const ours = owner.runId === runId;
    return problem(
      'machine',
      ours,
      `${name} is claimed by ${ours ? 'this run' : `run ${owner.runId}`}`,
      'a machine that no run has claimed',
    );
  }
  return problem('machine', power === 'off', `${name} is free and ${power}`, 'a free machine that is off');
}

const problem = (name: string, ok: boolean, found: string, needed: string): Check => ({
  ...{ name, ok, severity: 'problem', found, needed },
});
