/** Whether the user that libvirt runs guests as can reach a site's disks: a folder closed on the way stops power-on. */
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runBriefly } from '../postgres-binaries';
import type { Check } from './check';
import { isLocalUri, type Place } from './place';
import { ok, problem, type Finding } from './report';

export function libvirtUserChecks({ configuration }: Place): Check[] {
  return configuration.sites.flatMap((site) =>
    site.kind === 'libvirt' && isLocalUri(site.uri) && site.uri.endsWith('/system')
      ? [
          {
            id: `folders.site.${site.id}.hypervisor`,
            title: `the hypervisor's user can reach the disks of site ${site.id}`,
            look: (signal: AbortSignal) => look(site.folder, signal),
          },
        ]
      : [],
  );
}

async function look(folder: string, signal: AbortSignal): Promise<Finding> {
  const user = await guestUser();
  if (user === undefined) return ok('libvirt runs guests as root, or has no user of its own here');
  const needed = `${user} may pass through every folder above the disks`;
  const there = await nearest(folder);
  const closed = process.getuid?.() === 0 ? await closedFor(user, there, signal) : await closedByMode(there);
  if (closed === undefined) return ok(`${there} can be reached`, needed);
  return problem(
    `${closed} is closed to ${user}`,
    needed,
    `Run \`chmod o+x ${closed}\`, or give the site another folder (sites: folder).`,
  );
}

/** Packagers' names of the user; qemu.conf may name another, or root. */
async function guestUser(): Promise<string | undefined> {
  const text = await readFile('/etc/libvirt/qemu.conf', 'utf8').catch(() => '');
  const configured = /^\s*user\s*=\s*"\+?([^"]+)"/m.exec(text)?.[1];
  if (configured !== undefined) return configured === 'root' || configured === '0' ? undefined : configured;
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return ['libvirt-qemu', 'qemu'].find((name) => users.split('\n').some((line) => line.startsWith(`${name}:`)));
}

/** Tried as that user, so that access lists count too. */
async function closedFor(user: string, folder: string, signal: AbortSignal): Promise<string | undefined> {
  const [, , uid, gid] = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user) ?? [user, '', user, user];
  for (const each of pathsTo(folder)) {
    const asUser = [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--', 'test', '-x', each];
    const passes = await runBriefly('setpriv', asUser, { signal }).then(
      () => true,
      (error: { code?: unknown }) => {
        if (error.code === 1) return false;
        throw error;
      },
    );
    if (!passes) return each;
  }
  return undefined;
}

async function closedByMode(folder: string): Promise<string | undefined> {
  for (const each of pathsTo(folder)) if (((await stat(each)).mode & 0o001) === 0) return each;
  return undefined;
}

/** `/`, `/var`, `/var/lib`, … */
function pathsTo(folder: string): string[] {
  return folder === dirname(folder) ? [folder] : [...pathsTo(dirname(folder)), folder];
}

async function nearest(path: string): Promise<string> {
  return stat(path).then(
    () => path,
    () => nearest(dirname(path)),
  );
}
