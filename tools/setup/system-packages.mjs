/**
 * The Debian packages that Muster needs beyond a bare system, and how to see that each one's work is there: a program,
 * or a check. So another distribution, or a program built by hand, is good enough.
 *
 * `quick`: already needed by the quick tests; the others are needed by real guests. docs/dependencies.md gives licence
 * and size of each; test/tools/dependencies.test.ts holds the two together.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

export const systemPackages = [
  { name: 'chromium', quick: true, programs: ['chromium'], reason: 'opens reports and console pages in tests' },
  { name: 'dosfstools', quick: true, programs: ['mkfs.vfat'], reason: 'ESP volumes of test disks' },
  { name: 'e2fsprogs', quick: true, programs: ['mke2fs'], reason: 'ext4 volumes of the demo guest and of test disks' },
  { name: 'fdisk', quick: true, programs: ['sfdisk'], reason: 'partition tables of the demo guest and of test disks' },
  { name: 'fish', quick: true, programs: ['fish'], reason: 'tests of completion in this shell' },
  { name: 'mandoc', quick: true, programs: ['mandoc'], reason: 'checks the manual page in tests' },
  { name: 'libwin-hivex-perl', quick: true, programs: ['hivexregedit'], reason: 'edits registries of Windows guests' },
  { name: 'ntfs-3g', quick: true, programs: ['mkntfs', 'ntfsinfo'], reason: 'NTFS volumes of test disks' },
  {
    name: 'openssl',
    quick: true,
    programs: ['openssl'],
    reason: 'digests of large files, at the speed of the processor',
  },
  { name: 'qemu-system-common', quick: true, programs: ['qemu-storage-daemon'], reason: 'the target server' },
  { name: 'qemu-utils', quick: true, programs: ['qemu-img', 'qemu-io'], reason: 'images, layers and overlays' },
  { name: 'reglookup', quick: true, programs: ['reglookup'], reason: 'reads registries in tests' },
  {
    name: 'util-linux',
    quick: true,
    programs: ['setpriv', 'flock', 'blkid', 'prlimit'],
    reason: 'children that die with us; locks; limits',
  },
  { name: 'zsh', quick: true, programs: ['zsh'], reason: 'tests of completion in this shell' },
  { name: 'chntpw', quick: false, programs: ['chntpw'], reason: 'reads registries in tests' },
  { name: 'btrfs-progs', quick: false, programs: ['mkfs.btrfs'], reason: 'btrfs volumes of test guests' },
  { name: 'cpio', quick: false, programs: ['cpio'], reason: 'the archive that inoculation adds to an initramfs' },
  { name: 'cryptsetup-bin', quick: false, programs: ['cryptsetup'], reason: 'encrypted volumes of test guests' },
  { name: 'dnsmasq-base', quick: false, programs: ['dnsmasq'], reason: "addresses in libvirt's networks" },
  { name: 'guestfish', quick: false, programs: ['guestfish'], reason: "edits inside guests' disks, in an appliance" },
  { name: 'iptables', quick: false, programs: ['iptables'], reason: "isolation of libvirt's networks" },
  { name: 'libvirt-clients', quick: false, programs: ['virsh'], reason: 'how Muster talks to libvirt' },
  { name: 'libvirt-daemon-system', quick: false, programs: ['libvirtd', 'virtlogd'], reason: 'runs the guests' },
  { name: 'linux-image-amd64', quick: false, found: hasKernel, reason: "the kernel of guestfish's appliance" },
  { name: 'lz4', quick: false, programs: ['lz4'], reason: "guests' initramfs archives in this compression" },
  { name: 'mmdebstrap', quick: false, programs: ['mmdebstrap'], reason: 'fills the demo guest' },
  {
    name: 'python3-venv',
    quick: false,
    found: hasVenv,
    reason: 'environments of the programs from PyPI that tests use',
  },
  { name: 'mtools', quick: false, programs: ['mcopy', 'mmd'], reason: 'EFI system partitions of test guests' },
  { name: 'ovmf', quick: false, found: hasUefiFirmware, reason: 'UEFI firmware of virtual machines' },
  { name: 'qemu-system-x86', quick: false, programs: ['qemu-system-x86_64'], reason: 'the machines themselves' },
  {
    name: 'nbdkit',
    quick: false,
    programs: ['nbdkit'],
    reason: 'opens images for virt-v2v, which does not depend on it',
  },
  {
    name: 'virt-v2v',
    quick: false,
    programs: ['virt-v2v-in-place'],
    reason: 'inoculates, for virtio, systems that Muster does not know',
  },
  { name: 'xz-utils', quick: false, programs: ['xz'], reason: "guests' initramfs archives in this compression" },
  { name: 'zstd', quick: false, programs: ['zstd'], reason: "guests' initramfs archives in this compression" },
];

/** A kernel in /boot with its modules: containers have none, and libguestfs builds its appliance from one. */
function hasKernel() {
  const releases = namesIn('/boot').flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []);
  const modules = new Set(namesIn('/lib/modules'));
  return releases.some((release) => modules.has(release));
}

/** Debian splits what makes environments from Python itself. */
function hasVenv() {
  return spawnSync('python3', ['-c', 'import ensurepip, venv'], { stdio: 'ignore' }).status === 0;
}

function hasUefiFirmware() {
  return namesIn('/usr/share/OVMF').includes('OVMF_CODE_4M.fd');
}

function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
