/** A Go that can build tools/temporal: 1.21 or later, because from there on Go fetches the version a module asks for. */
import { findProgram, run } from '../shared/programs.mjs';
import { install } from './debian-packages.mjs';
import { CannotProvide } from './step.mjs';

const needed = { major: 1, minor: 21 };

/** Its path; Debian's package is installed first where that is new enough. @throws CannotProvide with the command for it. */
export async function goProgram(context) {
  const present = findGo(context.env);
  if (present && isNewEnough(await run(present, ['env', 'GOVERSION']))) return present;
  const apt = findProgram('apt-cache', context.env);
  if (apt && isNewEnough(candidate(await run(apt, ['policy', 'golang-go'])))) {
    await install(['golang-go', 'ca-certificates'], context);
    const installed = findGo(context.env);
    if (installed) return installed;
  }
  const found = present ? `the Go at ${present} is older than ${needed.major}.${needed.minor}` : 'there is no Go';
  throw new CannotProvide(
    `Building the Temporal CLI needs Go ${needed.major}.${needed.minor} or later: ${found}, and Debian's is not newer. ` +
      'Or put a `temporal` program on PATH, or set MUSTER_TEMPORAL_ADDRESS to a running server.',
    `curl -fsSL https://go.dev/dl/go1.26.8.linux-${process.arch === 'arm64' ? 'arm64' : 'amd64'}.tar.gz | sudo tar -C /usr/local -xz`,
  );
}

function findGo(env) {
  return findProgram('go', env) ?? findProgram('go', { PATH: '/usr/local/go/bin' });
}

/** Takes `go1.26.8`, or a Debian version such as `2:1.19~1`. */
export function isNewEnough(version) {
  const match = /(?:^|go|:)(\d+)\.(\d+)/.exec(version.trim());
  if (!match) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > needed.major || (major === needed.major && minor >= needed.minor);
}

function candidate(policy) {
  return /Candidate: (\S+)/.exec(policy)?.[1] ?? '';
}
