/**
 * What an .inf file says of a driver: the devices that it is for, its service and its files. So Muster knows no driver by
 * heart: a folder with VMware's drivers, virtio-win's or another maker's is read the same way.
 *
 * Facts: Microsoft's reference of INF sections (Manufacturer, Models, DDInstall.Services, AddService, AddReg).
 */
import { infValues, parseInf, type Inf } from './inf-text';
import { expandableValue, numberValue, textValue, type RegistryValue } from './registry-values';
import type { WindowsVersion } from './version';

export interface ServiceSetting {
  /** Beneath the service's key; '' for the key itself. */
  readonly subkey: string;
  readonly name: string;
  readonly value: RegistryValue;
}

export interface InfDriver {
  readonly service: string;
  /** File name of the service's program: `viostor.sys`. */
  readonly program: string;
  readonly serviceType: number;
  readonly startType: number;
  readonly errorControl: number;
  readonly group: string | null;
  readonly settings: readonly ServiceSetting[];
  /** `PCI\VEN_1AF4&DEV_1001`, with its rank: 0 for the first of a line, 1 for the second, … */
  readonly hardwareIds: readonly { readonly id: string; readonly rank: number }[];
  /** Name of the install section without its decoration. */
  readonly configuration: string;
  /** `{4D36E97B-E325-11CE-BFC1-08002BE10318}`. */
  readonly classGuid: string;
  readonly provider: string;
  /** DriverVer: `mm/dd/yyyy` and `a.b.c.d`. */
  readonly date: string | null;
  readonly version: string | null;
  /** What the .inf names beside itself: catalogs and source files, in lower case. */
  readonly files: readonly string[];
}

const plainName = /^[A-Za-z0-9_.-]{1,64}$/;
const hardwareId = /^[A-Za-z0-9_]{1,16}\\[A-Za-z0-9_&{}.-]{1,180}$/;
/** SPSVCINST_ASSOCSERVICE: the service is the device's own, not a helper's. */
const associated = 0x2;

/** Null where the .inf has no driver for that Windows, or names something that cannot stand in a registry. */
export function readInf(bytes: Buffer, windows: WindowsVersion): InfDriver | null {
  const inf = parseInf(bytes);
  const models = modelsFor(inf, windows);
  const first = models[0];
  if (first === undefined) return null;
  const configuration = first.values[0]!;
  const service = serviceOf(inf, configuration, windows);
  const classGuid = infValues(inf, 'Version', 'ClassGUID')[0] ?? '';
  if (service === null || !/^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$/.test(classGuid)) return null;
  const mine = models.filter(({ values }) => values[0]!.toLowerCase() === configuration.toLowerCase());
  const hardwareIds = mine.flatMap(({ values }) =>
    values.slice(1).map((id, rank) => ({ id: id.toUpperCase(), rank: Math.min(rank, 0xfe) })),
  );
  if (!hardwareIds.every(({ id }) => hardwareId.test(id)) || !plainName.test(configuration)) return null;
  const [date, version] = infValues(inf, 'Version', 'DriverVer');
  return {
    ...{ ...service, hardwareIds, configuration, classGuid, date: date ?? null, version: version ?? null },
    provider: (infValues(inf, 'Version', 'Provider')[0] ?? '').slice(0, 200),
    files: filesOf(inf, windows),
  };
}

/** The models of all makers, out of the section that fits this Windows best. */
function modelsFor(inf: Inf, windows: WindowsVersion) {
  const sections = (inf.get('manufacturer') ?? []).flatMap(({ key, values }) => {
    const section = (values[0] ?? key ?? '').toLowerCase();
    const decorations = values.slice(1).filter((decoration) => fits(decoration, windows));
    const best = decorations.sort((a, b) => targetOf(b) - targetOf(a))[0];
    const undecorated = values.length <= 1 && windows.architecture !== 'x86';
    return undecorated ? [] : [best === undefined ? section : `${section}.${best.toLowerCase()}`];
  });
  return [...new Set(sections)].flatMap((name) => (inf.get(name) ?? []).filter(({ values }) => values.length > 1));
}

/** `NTamd64.10.0...17763`: architecture, then the least version and build. */
const decorationPattern = /^nt(amd64|x86|arm64|arm|ia64)?(?:\.(\d+))?(?:\.(\d+))?(?:\.\d*)?(?:\.\d*)?(?:\.(\d+))?$/i;

function fits(decoration: string, windows: WindowsVersion): boolean {
  const match = decorationPattern.exec(decoration);
  if (match === null || (match[1] ?? 'x86').toLowerCase() !== windows.architecture.toLowerCase()) return false;
  return targetOf(decoration) <= order(windows.major, windows.minor, windows.build);
}

function targetOf(decoration: string): number {
  const match = decorationPattern.exec(decoration);
  return order(Number(match?.[2] ?? 0), Number(match?.[3] ?? 0), Number(match?.[4] ?? 0));
}

const order = (major: number, minor: number, build: number) => (major * 1_000 + minor) * 1_000_000 + build;

/** Sections may be written for one architecture, for NT, or plainly; the closest wins. */
function sectionNames(name: string, windows: WindowsVersion, suffix = ''): string[] {
  return [`.nt${windows.architecture}`, '.nt', ''].map((decoration) => `${name}${decoration}${suffix}`.toLowerCase());
}

function serviceOf(inf: Inf, configuration: string, windows: WindowsVersion) {
  const section = sectionNames(configuration, windows, '.Services').find((name) => inf.has(name));
  const entries = (inf.get(section ?? '') ?? []).filter(({ key }) => key?.toLowerCase() === 'addservice');
  const entry = entries.find(({ values }) => (number(values[1]) & associated) !== 0) ?? entries[0];
  const [service, , details] = entry?.values ?? [];
  if (service === undefined || details === undefined) return null;
  const program = (infValues(inf, details, 'ServiceBinary')[0] ?? '').split(/[\\/]/).at(-1)!;
  if (!plainName.test(service) || !plainName.test(program)) return null;
  const group = infValues(inf, details, 'LoadOrderGroup')[0] ?? null;
  const sections = infValues(inf, details, 'AddReg').map((name) => name.toLowerCase());
  return {
    ...{ service, program, group: group === null ? null : group.slice(0, 100) },
    serviceType: number(infValues(inf, details, 'ServiceType')[0]),
    startType: number(infValues(inf, details, 'StartType')[0]),
    errorControl: number(infValues(inf, details, 'ErrorControl')[0]),
    settings: [...new Set(sections)].flatMap((name) => settingsOf(inf, name)),
  };
}

/** HKR lines of a service's AddReg section: numbers and texts, which are all that drivers of disks and networks use. */
function settingsOf(inf: Inf, section: string): ServiceSetting[] {
  return (inf.get(section) ?? []).flatMap(({ values: [root, subkey = '', name = '', flags, text] }) => {
    const value = text === undefined ? null : settingValue(number(flags), text);
    const plain = /^([A-Za-z0-9_ .-]{1,64}(\\|$)){0,8}$/.test(subkey) && /^[A-Za-z0-9_ .-]{0,64}$/.test(name);
    return root?.toUpperCase() === 'HKR' && value !== null && plain ? [{ subkey, name, value }] : [];
  });
}

function settingValue(flags: number, text: string): RegistryValue | null {
  if (flags === 0x00010001) return numberValue(number(text) >>> 0);
  if (flags === 0x00020000) return expandableValue(text);
  return flags === 0 ? textValue(text) : null;
}

function filesOf(inf: Inf, windows: WindowsVersion): string[] {
  const version = inf.get('version') ?? [];
  const catalogs = version.filter(({ key }) => /^catalogfile(\.|$)/i.test(key ?? '')).flatMap(({ values }) => values);
  const arch = windows.architecture.toLowerCase();
  const sources = ['sourcedisksfiles', `sourcedisksfiles.${arch}`].flatMap((name) => inf.get(name) ?? []);
  const names = [...catalogs, ...sources.flatMap(({ key }) => key ?? [])].map((name) => name.toLowerCase());
  return [...new Set(names)].filter((name) => plainName.test(name));
}

/** Decimal or 0x…; 0 where it is neither. */
function number(text: string | undefined): number {
  return /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text?.trim() ?? '') ? Number(text!.trim()) : 0;
}
