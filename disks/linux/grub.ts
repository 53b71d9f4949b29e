/** Rewrites `root=` and `resume=` in GRUB's files, and initramfs-tools' RESUME, where they name a device that would not survive. */
import { perishableDevice, type Resolve } from './device-names';
import { rewriteLines, type LineRewrite, type Rewrite } from './fstab';

const kernelArgument = /(^|[\s"'=])(root|resume)=(\/dev\/[A-Za-z0-9/_.:+-]+)/g;

/** grub.cfg: only the lines that hand arguments to a kernel. */
export function rewriteGrubConfig(text: string, resolve: Resolve): Rewrite {
  return rewriteLines(text, (line) =>
    /^\s*(linux|linux16|linuxefi)\s/.test(line) ? rewriteInLine(line, resolve) : { line },
  );
}

/** Kernel arguments on every line: what dracut keeps in /etc/cmdline.d of its initramfs. */
export function rewriteArguments(text: string, resolve: Resolve): Rewrite {
  return rewriteLines(text, (line) => rewriteInLine(line, resolve));
}

/**
 * /etc/default/grub (and default/grub.d): kernel arguments, and GRUB_DISABLE_LINUX_UUID, which would bring the device
 * names back with the next update-grub.
 */
export function rewriteGrubDefaults(text: string, resolve: Resolve): Rewrite {
  return rewriteLines(text, (line) => {
    if (/^\s*GRUB_DISABLE_LINUX_UUID=["']?true["']?\s*$/.test(line)) {
      return { line: `#${line}`, changes: ['GRUB_DISABLE_LINUX_UUID switched off'] };
    }
    return /^\s*(export\s+)?GRUB_CMDLINE_LINUX\w*=/.test(line) ? rewriteInLine(line, resolve) : { line };
  });
}

/** conf.d/resume of initramfs-tools: the boot waits half a minute for a resume device that is not there. */
export function rewriteResume(text: string, resolve: Resolve): Rewrite {
  return rewriteLines(text, (line) => {
    const match = /^(\s*RESUME=["']?)(\/dev\/[^\s"']+)(.*)$/.exec(line);
    if (match === null) return { line };
    const found = resolve(match[2]!, 'swap');
    if (found.kind === 'lasting') return { line };
    if (found.kind === 'unknown') return { line, unknown: [{ name: match[2]!, because: found.because, fatal: false }] };
    return {
      line: `${match[1]}UUID=${found.uuid}${match[3]}`,
      changes: [`RESUME=${match[2]} -> UUID=${found.uuid}`],
    };
  });
}

function rewriteInLine(line: string, resolve: Resolve): LineRewrite {
  const changes: string[] = [];
  const unknown: { name: string; because: string; fatal: boolean }[] = [];
  const rewritten = line.replaceAll(kernelArgument, (whole, before: string, name: string, device: string) => {
    const found = resolve(device, name === 'resume' ? 'swap' : undefined);
    if (found.kind === 'lasting') return whole;
    if (found.kind === 'unknown') {
      unknown.push({ name: device, because: found.because, fatal: name === 'root' });
      return whole;
    }
    changes.push(`${name}=${device} -> UUID=${found.uuid}`);
    return `${before}${name}=UUID=${found.uuid}`;
  });
  return { line: rewritten, changes, unknown };
}

/**
 * device.map (grub-mkdevicemap): a disk's old name makes grub-install and update-grub fail on the new hardware; without an
 * entry they find the disks themselves.
 */
export function rewriteDeviceMap(text: string): Rewrite {
  return rewriteLines(text, (line) => {
    const device = /^\s*\([^)]+\)\s+(\S+)/.exec(line)?.[1];
    if (device === undefined || perishableDevice(device) === null) return { line };
    return { line: `# ${line}`, changes: [`${device} commented out`] };
  });
}
