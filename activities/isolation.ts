/** Whether a rehearsal's machine can reach anybody but its like (design: law 7), read from the platform itself. */
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { CallOptions, MachineRef, MadeNetwork, Platform } from '../platforms/contract';
import type { IsolationProof } from './rehearsal-contract';
import { sameOwner } from '../platforms/owners';

type Reading = Pick<IsolationProof, 'nics' | 'networks'>;

/** @throws OperatorError that names every card that is not isolated, with what it is plugged into. */
export async function readIsolation(
  order: RecoveryOrder,
  platform: Platform,
  { name }: MachineRef,
  options: CallOptions,
): Promise<Reading> {
  const [machine, health, made] = await Promise.all([
    platform.find(name, options),
    platform.health(options),
    platform.networks(options),
  ]);
  const own = made.filter((network) => isOfRun(network, order));
  const declared = health.networks.filter(({ isolated }) => isolated).map((network) => network.name);
  const cards = (machine?.nics ?? []).map(({ macAddress, network }) => {
    const of = own.find((one) => one.name === network);
    const problem = of === undefined ? undeclared(network, declared) : problemOf(of, name, macAddress);
    return {
      macAddress,
      network,
      isolatedBy: of === undefined ? 'declared by the site' : 'made for this run',
      problem,
    };
  });
  const open = cards.flatMap(({ macAddress, problem }) => (problem === null ? [] : [`card ${macAddress}: ${problem}`]));
  if (machine === undefined) open.push('there is no such machine');
  if (open.length > 0) throw notIsolated(order, open, [...own.map((network) => network.name), ...declared]);
  return {
    nics: cards.map(({ problem: _, ...card }) => card),
    networks: own.map((network) => ({ name: network.name, plugged: network.plugged.map((card) => card.machine) })),
  };
}

const isOfRun = ({ name, owner }: MadeNetwork, { tenantId, isolation }: RecoveryOrder): boolean =>
  isolation !== undefined &&
  isolation.networks.includes(name) &&
  sameOwner(owner, { tenantId, runId: isolation.ownerRunId });

const undeclared = (network: string, declared: readonly string[]): string | null =>
  declared.includes(network) ? null : `network ${network} is not isolated`;

function problemOf(
  { name, active, uplinks, plugged }: MadeNetwork,
  machine: string,
  macAddress: string,
): string | null {
  if (uplinks.length > 0) return `network ${name} has a way out: ${uplinks.join(', ')}`;
  if (!active) return `network ${name} is switched off`;
  const isIn = plugged.some((card) => card.machine === machine && card.macAddress === macAddress);
  return isIn ? null : `it is not plugged into ${name}, where this run put it`;
}

function notIsolated({ server }: RecoveryOrder, open: readonly string[], isolated: readonly string[]): OperatorError {
  return new OperatorError({
    what: `a rehearsal of ${server.name} is not isolated`,
    found: open.join('; '),
    needed: `isolated networks; here these are ${isolated.join(', ') || 'none'}`,
    remedy:
      'Unplug what leads out, then retry. Or go back to create-machine with isolated networks (`muster retry RUN --from create-machine --set networks=SOURCE=TARGET --reason …`), or abort.',
  });
}
