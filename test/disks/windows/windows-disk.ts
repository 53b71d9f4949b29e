/**
 * Disks with a Windows on them, as far as inoculation can tell: an NTFS volume with hives and the programs of drivers.
 * No Windows is on them and none boots. Built inside one libguestfs appliance.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Guestfish } from '../../../disks/guestfish';
import { makeHive } from './hive-file';

export interface WindowsKind {
  readonly productName: string;
  readonly build: string;
  readonly server: boolean;
  /** Windows 8 and later. */
  readonly database: boolean;
  readonly table: 'mbr' | 'gpt';
}

export const windows2022: WindowsKind = {
  ...{ productName: 'Windows Server 2022 Standard', build: '20348', server: true, database: true, table: 'gpt' },
};
export const windows2008R2: WindowsKind = {
  ...{ productName: 'Windows Server 2008 R2 Standard', build: '7601', server: true, database: false, table: 'mbr' },
};

const MiB = 1024 * 1024;
export const diskBytes = 96 * MiB;
/** Where the Windows volume lies, in both layouts. */
export const windowsOffset = 17 * MiB;
export const windowsBytes = 64 * MiB;
export const diskSignature = 0x1badd15c;
export const partitionGuid = '11223344-5566-7788-99aa-bbccddeeff00';

const text = (value: string) =>
  [...Buffer.from(`${value}\0`, 'utf16le')].map((byte) => byte.toString(16).padStart(2, '0')).join(',');
const hex = (bytes: Buffer) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(',');

/** What MountedDevices holds for the Windows volume. */
export function identityOf(kind: WindowsKind): Buffer {
  if (kind.table === 'gpt')
    return Buffer.from(`${Buffer.from('DMIO:ID:').toString('hex')}44332211665588779` + '9aabbccddeeff00', 'hex');
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(diskSignature);
  bytes.writeBigUInt64LE(BigInt(windowsOffset), 4);
  return bytes;
}

/** Partitions: system (ESP or "System Reserved") at 1 MiB, Windows at 17 MiB, recovery behind it. */
export function partition(path: string, kind: WindowsKind): void {
  execFileSync('truncate', ['-s', String(diskBytes), path]);
  const input =
    kind.table === 'gpt'
      ? 'label: gpt\nstart=2048,size=14336,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\nstart=16384,size=2048,type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE\n' +
        `start=34816,size=131072,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,uuid=${partitionGuid}\n` +
        'start=165888,size=24576,type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC\n'
      : `label: dos\nlabel-id: 0x${diskSignature.toString(16)}\nstart=2048,size=32768,type=7,bootable\nstart=34816,size=131072,type=7\n`;
  execFileSync('sfdisk', ['-q', path], { input });
}

/** The two hives, as a Windows of that kind would have them where inoculation looks. */
export function makeHives(folder: string, kind: WindowsKind, change: { productName?: string } = {}): void {
  mkdirSync(folder, { recursive: true });
  const service = (set: string, name: string, image = `system32\\\\drivers\\\\${name.toLowerCase()}.sys`) =>
    `[\\${set}\\Services\\${name}]\n"Start"=dword:00000003\n"Type"=dword:00000001\n"ImagePath"=hex(2):${text(image.replaceAll('\\\\', '\\'))}\n\n[\\${set}\\Services\\${name}\\StartOverride]\n"0"=dword:00000003\n\n`;
  const set = (name: string) =>
    `[\\${name}]\n\n[\\${name}\\Control]\n\n[\\${name}\\Control\\Session Manager]\n\n[\\${name}\\Control\\Session Manager\\Environment]\n"PROCESSOR_ARCHITECTURE"=hex(1):${text('AMD64')}\n\n` +
    (kind.database ? '' : `[\\${name}\\Control\\CriticalDeviceDatabase]\n\n`) +
    `[\\${name}\\Services]\n\n${service(name, 'LSI_SAS')}${service(name, kind.database ? 'storahci' : 'msahci')}`;
  makeHive(
    join(folder, 'SYSTEM'),
    `[\\Select]\n"Current"=dword:00000001\n"Default"=dword:00000001\n"Failed"=dword:00000000\n"LastKnownGood"=dword:00000002\n\n` +
      `${set('ControlSet001')}${set('ControlSet002')}` +
      (kind.database
        ? '[\\DriverDatabase]\n\n[\\DriverDatabase\\DriverInfFiles]\n\n[\\DriverDatabase\\DeviceIds]\n\n[\\DriverDatabase\\DeviceIds\\PCI]\n\n[\\DriverDatabase\\DeviceIds\\PCI\\VEN_1000&DEV_0054]\n"lsi_sas.inf"=hex(3):02,ff,00,00\n\n[\\DriverDatabase\\DriverPackages]\n\n'
        : '') +
      `[\\MountedDevices]\n"\\\\DosDevices\\\\C:"=hex(3):${hex(identityOf(kind))}\n"\\\\DosDevices\\\\E:"=hex(3):${hex(Buffer.alloc(12, 7))}\n`,
  );
  const ten = kind.database
    ? '"CurrentMajorVersionNumber"=dword:0000000a\n"CurrentMinorVersionNumber"=dword:00000000\n'
    : '';
  makeHive(
    join(folder, 'SOFTWARE'),
    `[\\Microsoft]\n\n[\\Microsoft\\Windows]\n\n[\\Microsoft\\Windows\\CurrentVersion]\n"DevicePath"=hex(2):${text('%SystemRoot%\\inf')}\n\n[\\Microsoft\\Windows NT]\n\n[\\Microsoft\\Windows NT\\CurrentVersion]\n` +
      `"ProductName"=hex(1):${text(change.productName ?? kind.productName)}\n"CurrentVersion"=hex(1):${text(kind.database ? '6.3' : '6.1')}\n${ten}` +
      `"CurrentBuildNumber"=hex(1):${text(kind.build)}\n"InstallationType"=hex(1):${text(kind.server ? 'Server' : 'Client')}\n"SystemRoot"=hex(1):${text('C:\\Windows')}\n`,
  );
}

/** Fills the NTFS volume on `device` with hives out of `folder`; names of folders in a case that nobody expects. */
export async function fillVolume(guest: Guestfish, device: string, kind: WindowsKind, folder: string): Promise<void> {
  await guest.ask('mkfs', ['ntfs', device]);
  await guest.ask('mount', [device, '/']);
  for (const path of ['/WINDOWS/system32/config', '/WINDOWS/system32/Drivers']) await guest.ask('mkdir-p', [path]);
  for (const name of ['SYSTEM', 'SOFTWARE']) {
    await guest.ask('upload', [
      join(folder, name),
      `/WINDOWS/system32/config/${name === 'SYSTEM' ? 'SYSTEM' : 'software'}`,
    ]);
  }
  for (const name of ['LSI_SAS.sys', kind.database ? 'storahci.sys' : 'msahci.sys']) {
    await guest.ask('write', [`/WINDOWS/system32/Drivers/${name}`, 'inbox']);
  }
  await guest.ask('umount-all');
}

/** A program whose PE header says that it is for that machine type. */
export function program(machine: number, content: string): Buffer {
  const bytes = Buffer.alloc(256);
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('PE\0\0', 0x80, 'latin1');
  bytes.writeUInt16LE(machine, 0x84);
  return Buffer.concat([bytes, Buffer.from(content)]);
}

export interface DriverText {
  readonly service: string;
  readonly program: string;
  readonly ids: readonly string[];
  readonly network?: boolean;
}

/** An .inf in the shape of virtio-win's. */
export function infText({ service, program: file, ids, network }: DriverText): string {
  return `; a comment
[Version]
Signature="$Windows NT$"
Class=${network === true ? 'Net' : 'SCSIAdapter'}
ClassGUID=${network === true ? '{4D36E972-E325-11CE-BFC1-08002BE10318}' : '{4D36E97B-E325-11CE-BFC1-08002BE10318}'}
Provider=%VENDOR%
DriverVer=07/22/2024,100.95.104.26200 ; stamped
CatalogFile=${service}.cat

[SourceDisksNames]
1 = %DiskId1%,,,""

[SourceDisksFiles]
${file} = 1,,

[Manufacturer]
%VENDOR% = Models,NTamd64,NTamd64.10.0...99999

[Models.NTamd64]
%Device.Desc% = the_inst, ${ids.join(', ')}

[Models.NTamd64.10.0...99999]
%Device.Desc% = future_inst, PCI\\VEN_FFFF

[the_inst]
CopyFiles=Files

[the_inst.Services]
AddService = ${service}, 0x00000002 , Service_Inst, Log_Inst

[Service_Inst]
ServiceType    = %SERVICE_KERNEL_DRIVER%
StartType      = ${network === true ? 3 : '%SERVICE_BOOT_START%'}
ErrorControl   = 1
ServiceBinary  = %12%\\${file}
LoadOrderGroup = ${network === true ? 'NDIS' : 'SCSI miniport'}
AddReg         = Safe_AddReg

[Safe_AddReg]
HKR, "Parameters\\PnpInterface", "5", %REG_DWORD%, 0x00000001
HKR, "Parameters", "BusType", %REG_DWORD%, 0x0000000A

[Strings]
VENDOR = "Red Hat; Inc."
DiskId1 = "Disk"
Device.Desc = "Controller"
REG_DWORD = 0x00010001
SERVICE_KERNEL_DRIVER = 1
SERVICE_BOOT_START = 0
`;
}

export const amd64 = 0x8664;

/** A package in a folder of its own: .inf, .sys, .cat. */
export function putPackage(folder: string, driver: DriverText, machine = amd64): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${driver.service}.inf`), infText(driver).replaceAll('\n', '\r\n'));
  writeFileSync(join(folder, driver.program), program(machine, `driver of ${folder}`));
  writeFileSync(join(folder, `${driver.service}.cat`), 'catalog');
}

/** A driver folder with virtio-win's layout for its own drivers and a flat one for VMware's. */
export function makeDriverFolder(root: string): void {
  const storage = {
    service: 'viostor',
    program: 'viostor.sys',
    ids: [String.raw`PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00`, String.raw`PCI\VEN_1AF4&DEV_1001`],
  };
  const network = { service: 'netkvm', program: 'netkvm.sys', ids: [String.raw`PCI\VEN_1AF4&DEV_1000`], network: true };
  for (const release of ['2k8R2', '2k22']) {
    putPackage(join(root, 'viostor', release, 'amd64'), storage);
    putPackage(join(root, 'NetKVM', release, 'amd64'), network);
  }
  putPackage(join(root, 'pvscsi'), {
    service: 'pvscsi',
    program: 'pvscsi.sys',
    ids: [String.raw`PCI\VEN_15AD&DEV_07C0`],
  });
  putPackage(join(root, 'vmxnet3'), {
    service: 'vmxnet3ndis6',
    program: 'vmxnet3.sys',
    ids: [String.raw`PCI\VEN_15AD&DEV_07B0`],
    network: true,
  });
}
