/**
 * Whether KVM really runs a guest here. /dev/kvm can exist, open and create a VM and still not run one (some nested
 * hosts; measured), so a guest of one sector is booted and has to answer. The answer is kept for this boot of the host.
 */
import { access, constants, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ProgramError, runProgram } from '../../programs/run';
import { readJson, writeJson } from '../json-file';

export interface Acceleration {
  readonly kind: 'kvm' | 'tcg';
  /** Why, for people: `muster doctor` prints it. */
  readonly because: string;
}

/** Exit code of QEMU when the guest wrote 1 to isa-debug-exit: (1 << 1) | 1. */
const guestRan = 3;
const probeTimeoutMs = 10_000;

/** Decides, or reads what was decided since the host booted. */
export async function findAcceleration(cacheFile: string): Promise<Acceleration> {
  const hostBoot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const cached = await readJson<Acceleration & { hostBoot: string }>(cacheFile).catch(() => undefined);
  if (cached?.hostBoot === hostBoot) return { kind: cached.kind, because: cached.because };
  const decided = await probe();
  await mkdir(dirname(cacheFile), { recursive: true });
  await writeJson(cacheFile, { ...decided, hostBoot });
  return decided;
}

async function probe(): Promise<Acceleration> {
  const cpu = await readFile('/proc/cpuinfo', 'utf8');
  if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(cpu)) return { kind: 'tcg', because: 'the CPU shows neither vmx nor svm' };
  const opens = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!opens) return { kind: 'tcg', because: '/dev/kvm is missing or not accessible' };
  const ran = await bootsTrivialGuest('kvm');
  return ran
    ? { kind: 'kvm', because: 'a trivial guest ran under KVM' }
    : { kind: 'tcg', because: `/dev/kvm is there, but a trivial guest did not run within ${probeTimeoutMs / 1000} s` };
}

/** Boots a guest of one sector that ends QEMU through a debug port; true when it got that far. */
export async function bootsTrivialGuest(accelerator: 'kvm' | 'tcg'): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-probe-'));
  try {
    const image = join(folder, 'sector.img');
    await writeFile(image, bootSector());
    await runProgram('qemu-system-x86_64', probeArgs(accelerator, image), {
      timeoutMs: probeTimeoutMs,
      okExitCodes: [guestRan],
    });
    return true;
  } catch (error) {
    if (error instanceof ProgramError || (error as Error).name === 'ProgramError') return false;
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function probeArgs(accelerator: 'kvm' | 'tcg', image: string): string[] {
  return [
    ...['-accel', accelerator, '-machine', 'pc', '-m', '16', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-device', 'isa-debug-exit,iobase=0x501,iosize=1'],
    ...['-drive', `file=${image.replaceAll(',', ',,')},format=raw,if=ide`, '-boot', 'c'],
  ];
}

/** mov dx, 0x501; mov al, 1; out dx, al; then halt for ever. */
function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  sector.set([0xba, 0x01, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd]);
  sector.set([0x55, 0xaa], 510);
  return sector;
}
