/** What a libvirt machine shows: its screen and its serial console. */
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PermanentError } from '../../model/errors';
import type { CallOptions } from '../contract';
import { decodePpm, encodePng } from '../png';
import type { Domain } from './domain-parse';
import { requireDomain, type Host } from './host';

const longestTextBytes = 64 * 1024;
const longestPictureBytes = 3 * 4096 * 4096 + 64;

export async function look(host: Host, name: string, options: CallOptions = {}) {
  const domain = await requireDomain(host, name, options);
  return { png: await screenshot(host, domain, options), consoleText: await readConsole(domain) };
}

/** Null for a machine that is off: it has no screen. */
async function screenshot(host: Host, domain: Domain, options: CallOptions): Promise<Buffer | null> {
  if (domain.machine.power === 'off') return null;
  const folder = await mkdtemp(join(tmpdir(), 'muster-screen-'));
  try {
    const file = join(folder, 'screen.ppm');
    const what = `the screen of ${domain.machine.name} cannot be read`;
    await host.virsh.run(what, ['screenshot', domain.machine.uuid, '--file', file], options);
    const bytes = await readPicture(what, file);
    // libvirt hands on what QEMU gives: PPM up to now, PNG from versions that can ask for it.
    return bytes.subarray(1, 4).toString('latin1') === 'PNG' ? bytes : encodePng(decodePpm(bytes));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The size of its screen is the guest's own choice. @throws PermanentError for one that is not read. */
export async function readPicture(what: string, file: string): Promise<Buffer> {
  const { size } = await stat(file);
  if (size <= longestPictureBytes) return readFile(file);
  throw new PermanentError({
    what,
    found: `a picture of ${size} bytes`,
    needed: `at most ${longestPictureBytes} bytes: 4096 by 4096 dots`,
    remedy: 'Give the guest an ordinary resolution, then retry; or order the recovery without a screenshot.',
  });
}

/** The last 64 KiB of the console's log. virtlogd may have begun a new file just now, so the one before is read too. */
async function readConsole(domain: Domain): Promise<string | null> {
  const { consoleFile } = domain;
  if (consoleFile === null || domain.machine.power === 'off') return null;
  const newest = await readTail(consoleFile, longestTextBytes);
  if (newest === undefined) return null;
  const missing = longestTextBytes - newest.length;
  const older = missing > 0 ? ((await readTail(`${consoleFile}.0`, missing)) ?? Buffer.alloc(0)) : Buffer.alloc(0);
  return printable(Buffer.concat([older, newest]).toString('utf8'));
}

async function readTail(path: string, bytes: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, bytes));
    await file.read(buffer, 0, buffer.length, Math.max(0, size - bytes));
    return buffer;
  } finally {
    await file.close();
  }
}

/** Text without terminal escapes and control characters; a guest's console is not to be trusted with a terminal. */
export function printable(text: string): string {
  return (
    text
      // Control sequences (CSI), operating-system commands (OSC) and two-character escapes: ECMA-48, section 5.
      // eslint-disable-next-line no-control-regex
      .replace(/\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]/g, '')
      .replace(/\r\n?/g, '\n')
      .replace(/[^\P{C}\n\t]/gu, '')
      .replace(/\n{3,}/g, '\n\n')
  );
}
