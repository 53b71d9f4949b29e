/**
 * Why a guest does not boot, read from its console. Each entry was seen on a real console (docs/proof.md says where);
 * an unknown text gives no diagnosis rather than a guess.
 */
export interface Diagnosis {
  readonly cause: string;
  readonly remedy: string;
  /** The console line that says so, shortened. */
  readonly line: string;
}

interface Symptom {
  readonly pattern: RegExp;
  readonly cause: string;
  readonly remedy: string;
}

const again = 'Then `muster retry RUN --from inoculate --set inoculate=true --reason …`.';

const symptoms: readonly Symptom[] = [
  {
    // initramfs-tools, scripts/local: local_device_setup
    pattern: /ALERT!\s+\S+ does not exist/,
    cause: 'the first boot stage does not find the root disk: the driver of the new disk controller is missing',
    remedy: `Inoculate the system for this hardware. ${again}`,
  },
  {
    // Linux, init/do_mounts.c: mount_block_root
    pattern: /VFS: Unable to mount root fs on/,
    cause:
      'the kernel cannot mount the root file system: no initramfs, or one without the driver of the disk controller',
    remedy: `Inoculate the system for this hardware. ${again}`,
  },
  {
    // dracut, dracut-initqueue
    pattern: /dracut-initqueue.*timeout|Entering emergency mode\. Exit the shell to continue/,
    cause: 'the first boot stage (dracut) does not find the root disk',
    remedy: `Inoculate the system for this hardware. ${again}`,
  },
  {
    // GRUB, kern/rescue_reader.c and kern/misc.c
    pattern: /grub rescue>|error: no such (device|partition)/,
    cause: 'the boot loader does not find its own files',
    remedy:
      'Check with `apply-signature` evidence that the boot volume has its signature; then go back: `muster retry RUN --from apply-signature --reason …`.',
  },
  {
    // SeaBIOS, src/boot.c: boot_fail
    pattern: /No bootable device|Boot failed: not a bootable disk/,
    cause: 'the firmware finds no bootable disk: wrong firmware (BIOS or UEFI), wrong disk order, or no boot loader',
    remedy: 'Compare firmware and disk order of the machine with the source, then go back to create-machine.',
  },
  {
    // systemd, emergency.service
    pattern: /You are in emergency mode/,
    cause: 'the system started but a file system of its fstab is missing or damaged',
    remedy:
      'Read the console text for the unit that failed; a device name that did not survive is rewritten by inoculation.',
  },
  {
    // Linux, arch/x86/kernel/apic/io_apic.c: check_timer
    pattern: /Kernel panic - not syncing: IO-APIC \+ timer doesn't work/,
    cause: 'the kernel saw its timer stand still while it started: the host gave an emulated processor too little time',
    remedy:
      'Start the machine again: `muster retry RUN --from power-on --reason …`. Where it comes back, let fewer machines boot at once, or give the kernel `no_timer_check`.',
  },
  {
    // Linux, kernel/panic.c
    pattern: /Kernel panic - not syncing: (.*)/,
    cause: 'the kernel stopped (panic)',
    remedy: 'Read the console text in the evidence; recover an older point if the system was damaged at the source.',
  },
];

export function diagnose(consoleText: string): Diagnosis | undefined {
  for (const { pattern, cause, remedy } of symptoms) {
    const found = pattern.exec(consoleText);
    if (found === null) continue;
    const start = consoleText.lastIndexOf('\n', found.index) + 1;
    const end = consoleText.indexOf('\n', found.index);
    return {
      cause,
      remedy,
      line: consoleText
        .slice(start, end === -1 ? undefined : end)
        .trim()
        .slice(0, 200),
    };
  }
  return undefined;
}
