/** Small disks that tests lay out themselves, with native tools only. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TakenDisk } from '../../../model/replica';

export const MiB = 1024 * 1024;

export const quietly = (program: string, args: readonly string[], input?: string | Buffer): Buffer =>
  execFileSync(program, args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    maxBuffer: 256 * MiB,
    ...(input === undefined ? {} : { input }),
  });

/** As a run hands it to inoculation. */
export function asDisk(path: string, index: number, format: 'raw' | 'qcow2' = 'raw'): TakenDisk {
  return {
    ...{ diskId: `disk${index}`, index, pointId: 'p1', virtualSizeBytes: 0, path, format },
    ...{ editUri: `file:${path}`, signatures: [] },
  };
}

/** Files below a folder: path -> text. */
export function fill(folder: string, files: Readonly<Record<string, string | Buffer>>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

/** A raw disk that is one ext4 volume. */
export function bareExt4(path: string, mebibytes: number, tree: string, uuid?: string): string {
  const name = uuid === undefined ? [] : ['-U', uuid];
  quietly('mke2fs', ['-q', '-F', '-t', 'ext4', ...name, '-d', tree, path, `${mebibytes}M`]);
  return path;
}

export function partitioned(path: string, mebibytes: number, table: string): string {
  quietly('truncate', ['-s', `${mebibytes}M`, path]);
  quietly('sfdisk', ['-q', path], table);
  return path;
}

export function putAt(from: string, disk: string, offsetMebibytes: number): void {
  quietly('dd', [`if=${from}`, `of=${disk}`, 'bs=1M', `seek=${offsetMebibytes}`, 'conv=notrunc,sparse']);
}

/** A file of an ext4 volume, by e2fsprogs. */
export function readExt4(disk: string, path: string, offsetMebibytes: number, scratch: string): Buffer {
  const out = join(mkdtempSync(join(scratch, 'read-')), 'file');
  quietly('debugfs', ['-R', `dump ${path} ${out}`, `${disk}?offset=${offsetMebibytes * MiB}`]);
  const bytes = readFileSync(out);
  rmSync(dirname(out), { recursive: true });
  return bytes;
}

/** Names and contents of a cpio archive, unpacked by cpio itself. */
export function unpackArchive(archive: Buffer, scratch: string): string {
  const folder = mkdtempSync(join(scratch, 'cpio-'));
  execFileSync('cpio', ['-idm', '--quiet', '--no-absolute-filenames'], { input: archive, cwd: folder });
  return folder;
}

function pack(folder: string): Buffer {
  const names = execFileSync('find', ['.', '-mindepth', '1'], { cwd: folder });
  return execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: folder, input: names });
}

/** An initramfs of another kernel, as its compressor makes it, with microcode in front. */
export function smallInitramfs(
  scratch: string,
  release: string,
  compressor: readonly string[],
  files: Record<string, string>,
): Buffer {
  const early = fill(mkdtempSync(join(scratch, 'early-')), { 'kernel/x86/microcode/GenuineIntel.bin': 'microcode' });
  const main = fill(mkdtempSync(join(scratch, 'main-')), { [`usr/lib/modules/${release}/modules.dep`]: '', ...files });
  execFileSync('ln', ['-s', 'usr/lib', 'lib'], { cwd: main });
  const [program, ...args] = compressor;
  return Buffer.concat([pack(early), execFileSync(program!, args, { input: pack(main) })]);
}

/** The system in small on a folder of its own, with more kernels that have these modules. */
export function miniSystem(scratch: string, tar: string): string {
  const tree = mkdtempSync(join(scratch, 'mini-'));
  quietly('tar', ['-C', tree, '-xf', tar]);
  return tree;
}

export function addKernel(
  tree: string,
  release: string,
  from: string,
  modules: readonly string[],
  initramfs: Buffer,
): void {
  const at = (...parts: string[]) => join(tree, 'usr/lib/modules', ...parts);
  for (const module of modules) {
    mkdirSync(dirname(at(release, 'kernel', module)), { recursive: true });
    cpSync(at(from, 'kernel', module), at(release, 'kernel', module), { recursive: true });
  }
  for (const name of ['modules.builtin', 'modules.order']) copyFileSync(at(from, name), at(release, name));
  quietly('depmod', ['-b', tree, release]);
  fill(tree, { [`boot/vmlinuz-${release}`]: 'not a kernel\n', [`boot/initrd.img-${release}`]: initramfs });
}
