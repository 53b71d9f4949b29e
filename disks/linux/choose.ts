/** Which inoculator fits a system and a hardware profile. */
import type { HardwareProfile, OperatingSystem } from '../../model/server';
import type { InoculatorChoice } from '../contract';
import { v2vHardware, v2vName } from '../v2v';

/** Distributions (os-release ID) that build their initramfs with initramfs-tools. */
const initramfsTools = [
  'debian',
  'ubuntu',
  'linuxmint',
  'raspbian',
  'devuan',
  'kali',
  'pop',
  'proxmox',
  'zorin',
  'elementary',
];
/** Distributions that build it with dracut or mkinitcpio: known, so that the answer can say what is missing. */
const others: Readonly<Record<string, string>> = {
  rhel: 'dracut',
  centos: 'dracut',
  rocky: 'dracut',
  almalinux: 'dracut',
  ol: 'dracut',
  fedora: 'dracut',
  sles: 'dracut',
  'opensuse-leap': 'dracut',
  'opensuse-tumbleweed': 'dracut',
  arch: 'mkinitcpio',
  alpine: 'mkinitfs',
};

/** Families that virt-v2v converts (virt-v2v-support(1)); whether it converts this very version it says itself. */
const v2vKnows = (id: string) => others[id] === 'dracut' || id === 'altlinux';

/** The inoculator's name, or why there is none. Pure knowledge. */
export function chooseInoculator(os: OperatingSystem, hardware: HardwareProfile): InoculatorChoice {
  const name = os.prettyName ?? [os.distribution, os.version].filter(Boolean).join(' ');
  if (os.family === 'windows') {
    if (hardware.windowsDrivers.length > 0) return { inoculator: 'windows-drivers' };
    return { because: `hardware profile ${hardware.id} names no Windows drivers` };
  }
  if (os.family === 'unknown') {
    return {
      because:
        'the operating system is unknown: needed is a Linux with initramfs-tools (Debian, Ubuntu and their family)',
    };
  }
  if (hardware.linuxModules.length === 0) {
    return { because: `hardware profile ${hardware.id} names no Linux drivers` };
  }
  const id = os.distribution?.toLowerCase();
  if (id !== undefined && initramfsTools.includes(id)) return { inoculator: 'initramfs-tools' };
  const tool = id === undefined ? undefined : others[id];
  const known = id !== undefined && v2vKnows(id);
  if (known && hardware.id === v2vHardware) return { inoculator: v2vName };
  const needs = tool === undefined ? 'an inoculator of its own' : `an inoculator for ${tool}`;
  const other = known ? `makes it fit for ${v2vHardware} only, not for ${hardware.id}` : 'does not know it';
  return {
    because: `${name || 'this Linux'} needs ${needs}; the built-in one knows Debian, Ubuntu and their family, and virt-v2v ${other}`,
  };
}
