/** The programs of the host: on PATH, able to run, new enough where a feature needs it. */
import { access, constants, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { withoutSecretVariables } from '../../programs/environment';
import { runBriefly } from '../postgres-binaries';
import { findTemporal } from '../temporal-binary';
import type { Check } from './check';
import { hasLibvirt, type Place } from './place';
import { ok, problem, warning, type Finding } from './report';

interface Tool {
  readonly program: string;
  /** Debian's package; test/stack/doctor.slow.test.ts holds it to set-up's list. */
  readonly package: string;
  readonly why: string;
  /** always: `muster up` itself; libvirt: sites on QEMU; option: one feature, without which the rest works. */
  readonly needs: 'always' | 'libvirt' | 'option';
  /** Oldest version, and what needs it. */
  readonly oldest?: readonly [version: string, because: string];
}

const replication = 'incremental backup is on by default since 7.6';

export const tools: readonly Tool[] = [
  {
    program: 'setpriv',
    package: 'util-linux',
    why: 'programs die with Muster',
    needs: 'always',
    oldest: ['2.33', '--pdeathsig'],
  },
  { program: 'prlimit', package: 'util-linux', why: "limits for what reads guests' bytes", needs: 'libvirt' },
  { program: 'qemu-img', package: 'qemu-utils', why: 'layers and overlays', needs: 'libvirt', oldest: ['6.0', ''] },
  { program: 'qemu-io', package: 'qemu-utils', why: 'signatures of volumes', needs: 'libvirt' },
  {
    program: 'qemu-storage-daemon',
    package: 'qemu-system-common',
    why: 'the target server',
    needs: 'libvirt',
    oldest: ['6.0', '--daemonize'],
  },
  {
    program: 'qemu-system-x86_64',
    package: 'qemu-system-x86',
    why: 'the machines themselves',
    needs: 'libvirt',
    oldest: ['6.0', ''],
  },
  {
    program: 'virsh',
    package: 'libvirt-clients',
    why: 'how Muster talks to libvirt',
    needs: 'libvirt',
    oldest: ['7.6', replication],
  },
  { program: 'guestfish', package: 'guestfish', why: "edits inside guests' disks", needs: 'libvirt' },
  { program: 'blkid', package: 'util-linux', why: 'signatures of volumes', needs: 'libvirt' },
  { program: 'wipefs', package: 'util-linux', why: 'signatures of volumes', needs: 'option' },
  { program: 'cpio', package: 'cpio', why: "additions to guests' initramfs", needs: 'libvirt' },
  { program: 'zstd', package: 'zstd', why: "additions to guests' initramfs", needs: 'libvirt' },
  {
    program: 'virt-v2v',
    package: 'virt-v2v',
    why: 'inoculation where the built-in inoculators do not fit',
    needs: 'option',
  },
  { program: 'nbdkit', package: 'nbdkit', why: 'images of other formats', needs: 'option' },
];

export function toolChecks(place: Place): Check[] {
  const libvirt = hasLibvirt(place);
  const wanted = tools.filter(({ needs }) => needs === 'always' || libvirt);
  return [
    ...wanted.map((tool) => ({
      id: `tools.${tool.program}`,
      title: `${tool.program}: ${tool.why}`,
      look: (signal: AbortSignal) => lookAtTool(tool, place.env, signal),
    })),
    ...(libvirt ? [applianceKernel] : []),
    ...(place.configuration.temporal.embedded
      ? [{ id: 'tools.temporal', title: 'temporal: the embedded server', look: () => lookAtTemporal(place.env) }]
      : []),
  ];
}

async function lookAtTool(tool: Tool, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Finding> {
  const needed = tool.oldest === undefined ? 'the program' : `version ${tool.oldest[0]} or later`;
  const install = `Install it: apt-get install ${tool.package} (or \`npm run setup\`).`;
  const bad = tool.needs === 'option' ? warning : problem;
  const path = await onPath(tool.program, env);
  if (path === undefined) return bad(`${tool.program} is not on PATH`, needed, install);
  const said = await versionOf(path, env, signal);
  if (said.error !== undefined) return bad(`${path} does not run: ${said.error}`, needed, install);
  if (tool.oldest !== undefined && said.version !== undefined && isOlder(said.version, tool.oldest[0])) {
    const because = tool.oldest[1] === '' ? needed : `${needed} (${tool.oldest[1]})`;
    return bad(`version ${said.version}`, because, `Upgrade the package ${tool.package} or the system.`);
  }
  return ok(`${said.version ?? 'there'} at ${path}`, needed);
}

async function onPath(program: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env['PATH'] ?? '').split(delimiter).filter((each) => each !== '')) {
    const path = join(folder, program);
    if (await runnable(path)) return path;
  }
  return undefined;
}

/** No setpriv around it: whether that is there is one of the questions. */
async function versionOf(
  path: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ version?: string | undefined; error?: string }> {
  try {
    const { stdout, stderr } = await runBriefly(path, ['--version'], {
      env: { ...withoutSecretVariables(env), LC_ALL: 'C' },
      signal,
    });
    return { version: /\d+\.\d+(\.\d+)?/.exec(stdout || stderr)?.[0] };
  } catch (error) {
    return { error: (error as Error).message.split('\n')[0]! };
  }
}

/** Compares dotted numbers. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  for (let i = 0; i < Math.max(a!.length, b!.length); i++) {
    const difference = (a![i] ?? 0) - (b![i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** libguestfs makes its appliance from a kernel of this host; containers have none, and some systems close it to users. */
const applianceKernel: Check = {
  id: 'tools.appliance-kernel',
  title: "a kernel for libguestfs' appliance",
  async look() {
    const names = await readdir('/boot').catch(() => []);
    const kernels = names.filter((name) => name.startsWith('vmlinuz-'));
    const modules = new Set(await readdir('/lib/modules').catch(() => []));
    const needed = 'a readable /boot/vmlinuz-VERSION with its /lib/modules/VERSION';
    const whole = kernels.filter((name) => modules.has(name.slice('vmlinuz-'.length)));
    if (whole.length === 0) {
      const found = kernels.length === 0 ? 'no kernel in /boot' : `${kernels.join(', ')} without modules`;
      return problem(found, needed, 'Install one: apt-get install linux-image-amd64.');
    }
    for (const name of whole) if (await readable(join('/boot', name))) return ok(`/boot/${name}`, needed);
    return problem(
      `${whole.join(', ')}, not readable`,
      needed,
      `Make it readable: chmod 0644 /boot/${whole[0]}, and dpkg-statoverride to keep it so.`,
    );
  },
};

async function lookAtTemporal(env: NodeJS.ProcessEnv): Promise<Finding> {
  const path = await findTemporal(env);
  return ok(path);
}

const runnable = (path: string): Promise<boolean> => may(path, constants.X_OK);
const readable = (path: string): Promise<boolean> => may(path, constants.R_OK);

function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
