/** What of a discovered machine cannot be true, or could not be recovered: said when the server is added, not at night. */
import type { ServerSpec } from './server';

type Machine = Pick<ServerSpec, 'disks' | 'nics' | 'cpuCount' | 'memoryBytes'>;

const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const sectorBytes = 512;

/** In words, each naming the part, what was found and what is needed; empty: none. */
export function serverProblems({ disks, nics, cpuCount, memoryBytes }: Machine): string[] {
  return [
    ...(disks.length === 0 ? ['it has no disk: needed at least one'] : []),
    ...disks.flatMap(({ id, sizeBytes }, position) => [
      ...(namePattern.test(id)
        ? []
        : [`disk ${position}: found the id ${JSON.stringify(id)}, needed A-Z a-z 0-9 . _ -`]),
      ...(Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % sectorBytes === 0
        ? []
        : [
            `disk ${id}: found ${sizeBytes} bytes, needed a whole number of sectors of ${sectorBytes} bytes, at least one`,
          ]),
    ]),
    ...repeated(disks.map(({ id }) => id)).map((id) => `disk ${id}: found twice, needed an id for each disk`),
    ...repeated(disks.map(({ sourceDevice }) => sourceDevice)).map(
      (device) => `device ${device}: found under two disks, needed one disk for each device`,
    ),
    ...nics
      .filter(({ macAddress }) => !macPattern.test(macAddress))
      .map(
        ({ index, macAddress }) =>
          `network card ${index}: found the address ${JSON.stringify(macAddress)}, needed one like 52:54:00:12:34:56`,
      ),
    ...repeated(nics.map(({ macAddress }) => macAddress)).map(
      (address) => `network address ${address}: found on two cards, needed one for each card`,
    ),
    ...(Number.isSafeInteger(cpuCount) && cpuCount > 0 ? [] : [`found ${cpuCount} processors, needed at least 1`]),
    ...(Number.isSafeInteger(memoryBytes) && memoryBytes > 0
      ? []
      : [`found ${memoryBytes} bytes of memory, needed more`]),
  ];
}

const repeated = (values: readonly string[]): string[] => [
  ...new Set(values.filter((value, index) => values.indexOf(value) !== index)),
];
