/** What of a server a rehearsal has proven: the same shape recovers the same way, and any other has to be rehearsed again. */
import { formatSize } from '../durations';
import type { DiskSpec, HardwareProfile, NicSpec, OperatingSystem, ServerSpec } from '../server';

export interface ServerShape {
  readonly serverId: string;
  readonly name: string;
  readonly os: OperatingSystem;
  readonly firmware: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly disks: readonly Pick<DiskSpec, 'id' | 'sizeBytes' | 'controller'>[];
  readonly nics: readonly NicSpec[];
  /** What it is recovered onto; null: not known. */
  readonly hardware: Pick<HardwareProfile, 'id' | 'diskController' | 'nicModel'> | null;
}

export function shapeOf(server: ServerSpec, hardware: HardwareProfile | null): ServerShape {
  const { id: serverId, name, os, firmware, cpuCount, memoryBytes, nics } = server;
  const disks = server.disks.map(({ id, sizeBytes, controller }) => ({ id, sizeBytes, controller }));
  const onto = hardware && { id: hardware.id, diskController: hardware.diskController, nicModel: hardware.nicModel };
  return { serverId, name, os, firmware, cpuCount, memoryBytes, disks, nics, hardware: onto };
}

/** Item by item what is no longer as it was rehearsed; none: the same shape. */
export function shapeDifferences(was: ServerShape, is: ServerShape): string[] {
  const { name } = is;
  if (was.serverId !== is.serverId) return [`${name} is another server than the one rehearsed (${was.serverId})`];
  const onto = ({ hardware }: ServerShape) => hardware && [hardware.id, hardware.diskController, hardware.nicModel];
  return [
    ...disksOf(was, is),
    ...cardsOf(was, is),
    ...changed(`firmware of ${name}`, was.firmware, is.firmware),
    ...changed(systemWords(name), systemOf(was.os), systemOf(is.os)),
    ...changed(`processors of ${name}`, String(was.cpuCount), String(is.cpuCount)),
    ...changed(`memory of ${name}`, formatSize(was.memoryBytes), formatSize(is.memoryBytes)),
    ...changed(`hardware that ${name} is recovered onto`, onto(was)?.join(', '), onto(is)?.join(', ')),
  ];
}

/** What a change of the operating system is called. */
export const systemWords = (name: string): string => `operating system of ${name}`;

function disksOf(was: ServerShape, is: ServerShape): string[] {
  return paired(was.disks, is.disks, ({ id }) => id).flatMap(([before, now]) => {
    if (before === undefined) return [`${now!.id} of ${is.name} is new (${formatSize(now!.sizeBytes)})`];
    if (now === undefined) return [`${before.id} of ${is.name} is gone`];
    const of = `${now.id} of ${is.name}`;
    return [
      ...(before.sizeBytes === now.sizeBytes
        ? []
        : [`${of} has ${sizes(before.sizeBytes, now.sizeBytes).join(', had ')}`]),
      ...changed(`controller of ${of}`, before.controller, now.controller),
    ];
  });
}

/** In bytes where rounding would hide what has changed. */
function sizes(before: number, now: number): [string, string] {
  const [was, is] = [formatSize(before), formatSize(now)];
  return was === is ? [`${now} bytes`, `${before} bytes`] : [is, was];
}

function cardsOf(was: ServerShape, is: ServerShape): string[] {
  return paired(was.nics, is.nics, ({ index }) => String(index)).flatMap(([before, now]) => {
    const of = `card ${(now ?? before)!.index} of ${is.name}`;
    if (before === undefined) return [`${of} is new (${now!.network})`];
    if (now === undefined) return [`${of} is gone`];
    return [
      ...changed(`network of ${of}`, before.network, now.network),
      ...changed(`model of ${of}`, before.model, now.model),
      ...changed(`address of ${of}`, before.macAddress, now.macAddress),
    ];
  });
}

function paired<T>(was: readonly T[], is: readonly T[], key: (one: T) => string): [T | undefined, T | undefined][] {
  const [before, now] = [was, is].map((list) => new Map(list.map((one) => [key(one), one])));
  return [...new Set([...before!.keys(), ...now!.keys()])].map((id) => [before!.get(id), now!.get(id)]);
}

const changed = (what: string, was: string | null | undefined, is: string | null | undefined): string[] =>
  was === is || was == null || is == null ? [] : [`${what} is ${is}, was ${was}`];

/** null: the guest's agent did not say, which is no change. */
const systemOf = ({ family, distribution, version, kernelRelease }: OperatingSystem): string | null =>
  family === 'unknown'
    ? null
    : [distribution ?? family, version, kernelRelease && `kernel ${kernelRelease}`].filter(Boolean).join(' ');
