/** Merging a machine's overlay into what lies beneath it: live through libvirt, or with qemu-img when it is off. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatorError } from '../../model/errors';
import type { CallOptions, MachineDisk, MachineRef } from '../contract';
import type { Domain } from './domain-parse';
import { diskXml } from './domain-xml';
import { onMachine, readImage, requireOwnDomain, type Host } from './host';
import { runNative, xmlFile } from './virsh';

const pollMs = 250;
const offlineTimeoutMs = 6 * 60 * 60_000;

/**
 * Merges down to `basePath`. Cut short, it is continued: a live job goes on in QEMU and is pivoted by the next call; an
 * offline commit copies again what it copied.
 */
export async function mergeDisk(
  host: Host,
  ref: MachineRef,
  disk: MachineDisk,
  basePath: string,
  options: CallOptions = {},
) {
  await onMachine(
    host,
    ref.name,
    async () => {
      const domain = await requireOwnDomain(host, ref, options);
      const there = domain.machine.disks.find((other) => other.index === disk.index);
      if (there?.path === basePath) return;
      if (there?.path !== disk.path) {
        throw new OperatorError({
          what: `disk ${disk.index} of ${ref.name} cannot be merged`,
          found: there ? `it stands on ${there.path}` : 'no disk at this place',
          needed: disk.path,
          remedy: 'Look at the machine: somebody changed its disks.',
        });
      }
      if (domain.machine.power === 'off') await mergeStopped(host, domain, disk, basePath, options);
      else await mergeRunning(host, domain, there.device, disk, basePath, options);
    },
    options.signal,
  );
}

async function mergeStopped(host: Host, domain: Domain, disk: MachineDisk, basePath: string, options: CallOptions) {
  const what = `disk ${disk.index} of ${domain.machine.name} cannot be merged`;
  await runNative(what, 'qemu-img', ['commit', '-q', '-b', basePath, '--', disk.path], {
    ...options,
    timeoutMs: offlineTimeoutMs,
  });
  const base = await readImage(basePath, options);
  const format = base?.format === 'qcow2' ? 'qcow2' : 'raw';
  const xml = diskXml({ index: disk.index, path: basePath, format }, domain.diskController);
  await host.virsh.run(what, ['update-device', domain.machine.uuid, xmlFile, '--config'], {
    ...options,
    xml: xml,
  });
}

async function mergeRunning(
  host: Host,
  domain: Domain,
  device: string,
  disk: MachineDisk,
  basePath: string,
  options: CallOptions,
): Promise<void> {
  const { uuid, name } = domain.machine;
  const what = `disk ${disk.index} of ${name} cannot be merged`;
  if (!(await readJob(host, uuid, device, what, options))) {
    await host.virsh.run(what, ['blockcommit', uuid, device, '--active', '--base', basePath], options);
  }
  for (;;) {
    const job = await readJob(host, uuid, device, what, options);
    if (!job) throw jobLost(name, disk);
    options.onProgress?.({
      label: `merge ${disk.diskId}`,
      ...{ done: job.doneBytes, total: job.totalBytes, unit: 'bytes' },
      ...{ ratePerSecond: null, timeLeftMs: null },
    });
    if (job.doneBytes === job.totalBytes && job.totalBytes > 0) break;
    await sleep(pollMs, undefined, options.signal ? { signal: options.signal } : {}).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      throw error;
    });
  }
  await host.virsh.run(what, ['blockjob', uuid, device, '--pivot'], options);
}

async function readJob(host: Host, uuid: string, device: string, what: string, options: CallOptions) {
  return parseJob(await host.virsh.run(what, ['blockjob', uuid, device, '--info', '--raw'], options));
}

/** `virsh blockjob --raw`: key=value lines; none when no job runs. */
export function parseJob(text: string): { doneBytes: number; totalBytes: number } | undefined {
  const value = (key: string) => new RegExp(`^\\s*${key}=(\\d+)`, 'm').exec(text)?.[1];
  const done = value('cur');
  const total = value('end');
  return done === undefined || total === undefined ? undefined : { doneBytes: Number(done), totalBytes: Number(total) };
}

function jobLost(name: string, disk: MachineDisk): OperatorError {
  return new OperatorError({
    what: `the merge of disk ${disk.index} of ${name} ended by itself`,
    needed: 'a block job that lasts until it is pivoted',
    remedy: "Look at the machine's log (/var/log/libvirt/qemu), then retry: the merge starts again.",
  });
}
