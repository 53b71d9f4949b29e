/**
 * What the SYSTEM hive must hold so that Windows starts a driver with its first programs, as a list of edits that are
 * compared with what is there. Pure.
 *
 * Facts: Services keys from Microsoft's documentation of service entries; CriticalDeviceDatabase from Microsoft's article
 * on moving disks (Windows before 8); the DriverDatabase's keys as Windows itself leaves them after installing a driver,
 * which is not documented by Microsoft: packages that opsi, virt-v2v and others write the same way start.
 */
import type { DriverPackage } from './driver-folder';
import type { KnownDriver } from './inbox-drivers';
import { storageClass } from './inbox-drivers';
import {
  binaryValue,
  expandableValue,
  numberValue,
  textsValue,
  textValue,
  type KeyPath,
  type RegistryEdit,
  type RegistryValue,
} from './registry-values';
import type { WindowsVersion } from './version';

/** Started by the boot loader. */
const bootStart = 0;

const set = (key: KeyPath, name: string, value: RegistryValue): RegistryEdit => ({ kind: 'set', key, name, value });

export const serviceKey = (controlSet: string, service: string): KeyPath => [controlSet, 'Services', service];

/** A driver that Windows has already: started first, whatever hardware it was installed on. */
export function enabledService(controlSet: string, service: string): RegistryEdit[] {
  const key = serviceKey(controlSet, service);
  // StartOverride lets Windows 8 and later put off a driver whose device it did not find (Microsoft, "Service StartOverride").
  return [set(key, 'Start', numberValue(bootStart)), { kind: 'delete-key', key: [...key, 'StartOverride'] }];
}

/** The service of a driver package. */
export function packageService(controlSet: string, driver: DriverPackage): RegistryEdit[] {
  const key = serviceKey(controlSet, driver.service);
  return [
    set(key, 'Type', numberValue(driver.serviceType)),
    ...enabledService(controlSet, driver.service),
    set(key, 'ErrorControl', numberValue(driver.errorControl)),
    set(key, 'Group', textValue(driver.group ?? 'SCSI miniport')),
    set(key, 'ImagePath', expandableValue(`system32\\drivers\\${driver.program.toLowerCase()}`)),
    ...driver.settings.map(({ subkey, name, value }) =>
      set([...key, ...subkey.split('\\').filter((part) => part !== '')], name, value),
    ),
  ];
}

/** Before Windows 8: which service drives a device that was not there when Windows was installed. */
export function criticalDevices(controlSet: string, service: string, hardwareIds: readonly string[]): RegistryEdit[] {
  return hardwareIds.flatMap((id) => {
    const key = [controlSet, 'Control', 'CriticalDeviceDatabase', id.toLowerCase().replaceAll('\\', '#')];
    return [set(key, 'Service', textValue(service)), set(key, 'ClassGUID', textValue(storageClass))];
  });
}

/** The name under which a package stands in the DriverDatabase: Muster's own, so that no installed one is overwritten. */
export const databaseInf = (driver: { readonly infName: string }): string => `muster-${driver.infName}`;

/** Since Windows 8: the same for the DriverDatabase. */
export function driverDatabase(driver: DriverPackage, windows: WindowsVersion): RegistryEdit[] {
  const inf = databaseInf(driver);
  const label = `${inf}_${windows.architecture.toLowerCase()}_0000000000000000`;
  const root = (...names: string[]): KeyPath => ['DriverDatabase', ...names];
  const packageKey = root('DriverPackages', label);
  const devices = driver.hardwareIds.map(({ id, rank }) => ({ path: id.split('\\'), rank }));
  return [
    set(root('DriverInfFiles', inf), '', textsValue([label])),
    set(root('DriverInfFiles', inf), 'Active', textValue(label)),
    set(root('DriverInfFiles', inf), 'Configurations', textsValue([driver.configuration])),
    ...devices.map(({ path, rank }) =>
      set(root('DeviceIds', ...path), inf, binaryValue(Buffer.from([rank + 1, 0xff, 0, 0]))),
    ),
    set(packageKey, '', textValue(inf)),
    set(packageKey, 'Version', binaryValue(packageVersion(driver))),
    set(packageKey, 'Provider', textValue(driver.provider)),
    set(packageKey, 'InfName', textValue(driver.infName)),
    set([...packageKey, 'Configurations', driver.configuration], 'ConfigFlags', numberValue(0)),
    set([...packageKey, 'Configurations', driver.configuration], 'Service', textValue(driver.service)),
    ...devices.map(({ path }) =>
      set([...packageKey, 'Descriptors', ...path], 'Configuration', textValue(driver.configuration)),
    ),
  ];
}

/** 48 bytes: a constant, the class, DriverVer's date as a FILETIME, its four numbers from the last to the first, zeros. */
export function packageVersion({
  classGuid,
  date,
  version,
}: Pick<DriverPackage, 'classGuid' | 'date' | 'version'>): Buffer {
  const bytes = Buffer.alloc(48);
  Buffer.from([0x00, 0xff, 0x09, 0x00]).copy(bytes, 0);
  guidBytes(classGuid).copy(bytes, 8);
  const day = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(date ?? '');
  const since1601Ms = 11_644_473_600_000;
  const timeMs = day === null ? 0 : Date.UTC(Number(day[3]), Number(day[1]) - 1, Number(day[2])) + since1601Ms;
  bytes.writeBigUInt64LE(BigInt(Math.max(0, timeMs)) * 10_000n, 24);
  const numbers = (version ?? '').split('.').map((part) => (/^\d{1,5}$/.test(part) ? Number(part) & 0xffff : 0));
  for (let index = 0; index < 4; index += 1) bytes.writeUInt16LE(numbers[3 - index] ?? 0, 32 + index * 2);
  return bytes;
}

/** A GUID as it lies in memory: the first three fields little-endian. */
export function guidBytes(guid: string): Buffer {
  const hex = Buffer.from(guid.replace(/[{}-]/g, ''), 'hex');
  return Buffer.concat([
    Buffer.from(hex.subarray(0, 4)).reverse(),
    Buffer.from(hex.subarray(4, 6)).reverse(),
    Buffer.from(hex.subarray(6, 8)).reverse(),
    hex.subarray(8),
  ]);
}

/** Where Windows would know the devices of a driver that it has: looked at, never written. */
export const databaseDevices = ({ hardwareIds }: KnownDriver): KeyPath[] =>
  hardwareIds.map((id) => ['DriverDatabase', 'DeviceIds', ...id.split('\\')]);
