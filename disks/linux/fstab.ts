/** Rewrites device names in fstab and crypttab that would not survive other hardware. Everything else stays as it is. */
import type { Resolve } from './device-names';

export interface Rewrite {
  readonly text: string;
  /** `/dev/sda1 -> UUID=…`, in the order of the file. */
  readonly changes: readonly string[];
  /** Names that could not be resolved; `fatal` where the system cannot start without that entry. */
  readonly unknown: readonly { readonly name: string; readonly because: string; readonly fatal: boolean }[];
}

/** What a line-wise rewriting found in one line. */
export interface LineRewrite {
  readonly line: string;
  readonly changes?: readonly string[];
  readonly unknown?: Rewrite['unknown'];
}

/** Applies `rewrite` to each line that is no comment; ends of lines stay as they are. */
export function rewriteLines(text: string, rewrite: (line: string) => LineRewrite): Rewrite {
  const results = text.split('\n').map((line) => (/^\s*(#|$)/.test(line) ? { line } : rewrite(line)));
  return {
    text: results.map(({ line }) => line).join('\n'),
    changes: results.flatMap((result: LineRewrite) => result.changes ?? []),
    unknown: results.flatMap((result: LineRewrite) => result.unknown ?? []),
  };
}

/** fstab(5): the first field is the device, the third the filesystem. Lines with `nofail` or `noauto` are never fatal. */
export function rewriteFstab(text: string, resolve: Resolve): Rewrite {
  return rewriteLines(text, (line) => {
    const [device, mountPoint, type = 'auto', options = ''] = line.trim().split(/\s+/);
    if (device === undefined || mountPoint === undefined) return { line };
    const found = resolve(device, type);
    if (found.kind === 'lasting') return { line };
    const words = options.split(',');
    const fatal = !words.includes('nofail') && !words.includes('noauto') && isDisk(type);
    if (found.kind === 'unknown') return { line, unknown: [{ name: device, because: found.because, fatal }] };
    return { line: line.replace(device, `UUID=${found.uuid}`), changes: [`${device} -> UUID=${found.uuid}`] };
  });
}

/** A CD-ROM or floppy line (`/dev/sr0`, type `udf,iso9660`) never keeps a system from starting. */
const isDisk = (type: string) => !/iso9660|udf/.test(type);

/** crypttab(5): the second field is the device. The LUKS header's own UUID is what cryptsetup finds it by. */
export function rewriteCrypttab(text: string, resolve: Resolve): Rewrite {
  return rewriteLines(text, (line) => {
    const [target, device, , options = ''] = line.trim().split(/\s+/);
    if (target === undefined || device === undefined) return { line };
    const found = resolve(device);
    if (found.kind === 'lasting') return { line };
    const fatal = !/(^|,)(nofail|noauto)(,|$)/.test(options);
    if (found.kind === 'unknown') return { line, unknown: [{ name: device, because: found.because, fatal }] };
    const at = line.indexOf(device, line.indexOf(target) + target.length);
    return {
      line: `${line.slice(0, at)}UUID=${found.uuid}${line.slice(at + device.length)}`,
      changes: [`${device} -> UUID=${found.uuid}`],
    };
  });
}
