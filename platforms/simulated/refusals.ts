/** The refusals that several methods of a simulated site share. */
import { OperatorError } from '../../model/errors';
import type { MachineRef } from '../contract';
import { sameOwner } from '../owners';
import type { MachineRecord } from './machines';
import type { Site } from './site';

/** @throws OperatorError when the machine carries another tag than the caller's, or none. */
export function requireOwn(machine: MachineRecord, ref: MachineRef): void {
  if (sameOwner(machine.owner, ref.owner) || (machine.owner === null && ref.owner === null)) return;
  throw somebodyElses(machine, 'name');
}

export function somebodyElses(machine: Pick<MachineRecord, 'name' | 'owner'>, taken: 'name' | 'uuid'): OperatorError {
  return new OperatorError({
    what: taken === 'name' ? `the name ${machine.name} is taken` : `the uuid is taken by machine ${machine.name}`,
    found: machine.owner
      ? `a machine of run ${machine.owner.runId}`
      : 'a machine that Muster did not make for this run',
    needed: 'a free name, or the machine of this run',
    remedy: 'Choose another name (provide machineName), or remove or rename that machine, then retry.',
  });
}

export function unknownMachine(site: Site, name: string): OperatorError {
  return new OperatorError({
    what: `there is no machine ${name} at site ${site.id}`,
    needed: 'the machine that the run created',
    remedy: 'Look whether somebody removed or renamed it; retry creates nothing, going back to the create step does.',
  });
}
