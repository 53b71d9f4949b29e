/** What can be known to go wrong before anything is touched; all problems at once. */
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import { isRehearsal, rehearsalProblem } from '../model/rehearsal';
import type { CallOptions, Machine, Platform, PlatformHealth } from '../platforms/contract';
import { formatSize } from '../model/durations';
import type { RecoveryActivities } from './contract';
import type { EffectsOf } from './attempt';
import type { PointManifest } from '../model/replica';
import { allMachines } from './all-machines';
import { callOptions, takesCopies, workAt } from './common';
import { checkAddresses } from './preflight-addresses';
import { check, type Check } from './preflight-check';
import { checkGivenMachine } from './preflight-given';
import { checkClocks, checkReplica, type ReplicaFound } from './preflight-replica';
import type { ActivityDeps, RecoverySite } from './site';
import { platformOf } from './site';

export function createPreflight(deps: ActivityDeps): EffectsOf<Pick<RecoveryActivities, 'preflight'>> {
  return {
    async preflight({ order }, attempt) {
      const { site } = workAt(deps, order, attempt);
      const platform = platformOf(site, order);
      const [points, view, freeBytes, machines, health] = await Promise.all([
        site.replicas.points(order.server.id),
        site.replicas.view(order.server.id),
        site.replicas.freeBytes(),
        machinesThatMatter(order, platform, callOptions(attempt)),
        platform.health(callOptions(attempt)),
      ]);
      const point = wantedPoint(order, points);
      const checks = checksOf(order, site, {
        ...{ points, point, view, machines, health, freeBytes },
        nowMs: deps.now(),
        writtenBytes: await bytesToWrite(order, site, point),
        given: await checkGivenMachine(order, platform, machines, attempt),
      });
      failOnProblems(order, checks);
      const lostAt = Date.parse(order.lostAt ?? order.requestedAt);
      return {
        pointId: point?.pointId ?? '',
        pointAgeMs: point === undefined ? 0 : Math.max(0, lostAt - Date.parse(point.takenAt)),
        checks,
      };
    },
  };
}

/**
 * A site has thousands of machines, and each of a runbook's servers asks. A rehearsal's cards are where nobody sees them, so its name
 * is all that somebody may have taken; any running machine may have a recovery's addresses.
 */
async function machinesThatMatter(
  order: RecoveryOrder,
  platform: Platform,
  options: CallOptions,
): Promise<readonly Machine[]> {
  if (order.mode === 'recovery' || platform.given !== undefined) return allMachines(platform, options);
  const machine = await platform.find(order.target.machineName, options);
  return machine === undefined ? [] : [machine];
}

/** What is seen of a site and of the server's replica there. */
export interface Seen extends ReplicaFound {
  readonly machines: readonly Machine[];
  readonly health: PlatformHealth;
  readonly freeBytes: number;
  readonly nowMs: number;
  /** See bytesToWrite. */
  readonly writtenBytes: number;
  /** Checks of the physical machine that the order names. */
  readonly given: readonly Check[];
}

/** Every check of an order; readiness asks them, too, without a run. */
export function checksOf(order: RecoveryOrder, site: RecoverySite, seen: Seen): Check[] {
  return [
    ...checkReplica(order, seen),
    checkClocks(order, seen.point, seen.nowMs),
    checkSpace(order, seen.freeBytes, seen.writtenBytes),
    ...(platformOf(site, order).given === undefined ? checkNames(order, seen) : []),
    ...seen.given,
    ...checkHardware(order, site, seen.health),
    ...checkNetworks(order, site, seen.health),
    ...checkAddresses(order, site),
    ...checkRehearsal(order),
  ];
}

export function wantedPoint(order: RecoveryOrder, points: readonly PointManifest[]): PointManifest | undefined {
  return order.point === 'latest' ? points.at(-1) : points.find((one) => one.pointId === order.point);
}

function failOnProblems(order: RecoveryOrder, checks: readonly Check[]): void {
  const problems = checks.filter((check) => !check.ok && check.severity === 'problem');
  if (problems.length === 0) return;
  throw new OperatorError({
    what: `${order.server.name} cannot be recovered like this: ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`,
    found: problems.map((check) => `${check.name}: ${check.found} (needed ${check.needed})`).join('; '),
    remedy: 'Mend each of them and retry, or provide corrected values.',
    detail: JSON.stringify(checks, null, 2),
  });
}

/** Copies take what the point holds, and that alone can be known beforehand. */
async function copiedBytes(
  order: RecoveryOrder,
  { replicas }: RecoverySite,
  point: PointManifest | undefined,
): Promise<number> {
  return takesCopies(order) && point !== undefined ? replicas.copySizeBytes(order.server.id, point.pointId) : 0;
}

/** Inoculation and the first boot write little; a tenth of the disks is room for both. Copies are written beside them. */
export async function bytesToWrite(
  order: RecoveryOrder,
  site: RecoverySite,
  point: PointManifest | undefined,
): Promise<number> {
  const writtenBytes = Math.max(
    512 * 1024 ** 2,
    Math.round(order.server.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0) / 10),
  );
  return (await copiedBytes(order, site, point)) + writtenBytes;
}

function checkSpace(order: RecoveryOrder, freeBytes: number, neededBytes: number): Check {
  return check(
    takesCopies(order) ? 'space for the copies' : 'space for the overlays',
    freeBytes >= neededBytes,
    `${formatSize(freeBytes)} free`,
    `at least ${formatSize(neededBytes)}`,
  );
}

function checkNames(order: RecoveryOrder, { machines, health }: Seen): Check[] {
  const { machineName } = order.target;
  const sameName = machines.find((one) => one.name === machineName && one.owner?.runId !== order.runId);
  const addresses = new Set(order.server.nics.map((nic) => nic.macAddress));
  const sameAddress = machines.find(
    (one) =>
      one.power !== 'off' &&
      one.owner?.runId !== order.runId &&
      // The source itself may run here; that is judged before power-on, where a person can decide.
      one.name !== order.server.source.machineName &&
      one.nics.some((nic) => addresses.has(nic.macAddress) && !isApart(one, nic.network, health)),
  );
  return [
    check(
      'machine name',
      sameName === undefined,
      sameName === undefined ? `${machineName} is free` : `${machineName} is taken by ${describeOwner(sameName)}`,
      'a free name',
    ),
    check(
      'network addresses',
      sameAddress === undefined || order.mode === 'rehearsal',
      sameAddress === undefined ? 'free' : `${sameAddress.name} runs with the same MAC address`,
      'addresses that no running machine has',
    ),
  ];
}

/** A rehearsal's machine has the server's addresses, where nobody sees them: only Muster's own networks are none of the site's. */
function isApart({ owner }: Machine, network: string, { networks }: PlatformHealth): boolean {
  return owner !== null && !networks.some(({ name, isolated }) => name === network && !isolated);
}

const describeOwner = (machine: Machine): string =>
  machine.owner === null ? 'a machine that is not Muster’s' : `run ${machine.owner.runId}`;

function checkHardware(order: RecoveryOrder, site: RecoverySite, health: PlatformHealth): Check[] {
  const { hardware, firmware, memoryBytes } = order.target;
  const { capabilities } = platformOf(site, order);
  const choice = site.disks.chooseInoculator(order.server.os, hardware);
  const os = order.server.os.prettyName ?? order.server.os.family;
  return [
    check(
      'hardware',
      capabilities.hardware.includes(hardware.id),
      hardware.id,
      `one of ${capabilities.hardware.join(', ')}`,
    ),
    check(
      'firmware',
      capabilities.firmwares.includes(firmware),
      firmware,
      `one of ${capabilities.firmwares.join(', ')}`,
    ),
    check(
      'memory',
      health.memoryFreeBytes >= memoryBytes,
      `${formatSize(health.memoryFreeBytes)} free`,
      `at least ${formatSize(memoryBytes)}`,
    ),
    check(
      'inoculator',
      !order.inoculate || 'inoculator' in choice,
      'inoculator' in choice ? choice.inoculator : choice.because,
      order.inoculate ? `one for ${os} on ${hardware.id}` : 'none: the order says without',
    ),
  ];
}

function checkNetworks(order: RecoveryOrder, site: RecoverySite, health: PlatformHealth): Check[] {
  const known = health.networks.map((network) => network.name);
  const { isolatedNetworks } = platformOf(site, order).capabilities;
  return [...new Set(order.server.nics.map((nic) => nic.network))].map((source) => {
    const target = order.target.networks[source] ?? source;
    if (order.isolation?.networks.includes(target) === true) {
      return check(
        `network for ${source}`,
        isolatedNetworks,
        `${target}, to be made`,
        'a platform that makes networks',
      );
    }
    const network = health.networks.find((one) => one.name === target);
    const isolated = order.mode !== 'rehearsal' || network?.isolated === true;
    const needed = `${order.mode === 'rehearsal' ? 'an isolated one' : 'one'} of ${known.join(', ') || 'none'}`;
    const why = isolatedNetworks || isolated ? '' : '; for given machines none is made, so the site has to declare one';
    return check(`network for ${source}`, network !== undefined && isolated, target, `${needed}${why}`);
  });
}

/** What may never be asked of one. */
function checkRehearsal(order: RecoveryOrder): Check[] {
  const problem = isRehearsal(order) ? rehearsalProblem(order) : null;
  return problem === null ? [] : [check('rehearsal', false, problem.found, problem.needed)];
}
