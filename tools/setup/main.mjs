/**
 * Sets up what Muster needs on this machine. Runs before anything is installed: Node's own modules only.
 *
 * Every step looks for what is needed and acts only when it is not there, so a second run has nothing to do.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianPackages } from './debian-packages.mjs';
import { demoGuestStep } from './demo-guest.mjs';
import { libvirtService } from './libvirt.mjs';
import { nodeVersion } from './node-version.mjs';
import { npmPackages } from './npm-packages.mjs';
import { pythonProgramsStep } from './python-programs.mjs';
import { makeContext, runStep } from './step.mjs';
import { temporalCli } from './temporal.mjs';
import { testGuestsStep } from './test-guests.mjs';

const help = `node tools/setup/main.mjs all|quick|demo [--quiet-when-ready]

  quick   what the quick tests need
  demo    what the demo needs: the same, guests' programs, libvirt and the demo guest
  all     everything, for the whole test suite

  --quiet-when-ready   says nothing when there is nothing to do

Exit codes
  0   everything is there
  1   set-up itself failed
  2   wrong usage
  3   something is missing that set-up cannot provide; the command that would is printed
  4   the same, and it needs root

Environment
  MUSTER_CACHE             where downloads and builds are kept (default: /var/cache/muster for root, else ~/.cache/muster)
  MUSTER_TEMPORAL_ADDRESS  a running Temporal server; then no Temporal program is needed
  MUSTER_TEMPORAL_BIN      the Temporal program to use
  MUSTER_DEBIAN_MIRROR     Debian mirror for the demo guest (default: http://deb.debian.org/debian)
`;

const root = fileURLToPath(new URL('../..', import.meta.url));

async function main(args) {
  const scopes = args.filter((arg) => !arg.startsWith('-'));
  const flags = args.filter((arg) => arg.startsWith('-'));
  if (flags.includes('--help')) return print(process.stdout, help, 0);
  const known = scopes.length === 1 && ['all', 'quick', 'demo'].includes(scopes[0]);
  if (!known || flags.some((flag) => flag !== '--quiet-when-ready')) return print(process.stderr, help, 2);
  const context = makeContext({ scope: scopes[0], quiet: flags.includes('--quiet-when-ready') });
  const { engines } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const steps = [
    nodeVersion(engines.node),
    npmPackages(root),
    debianPackages(),
    temporalCli,
    libvirtService,
    demoGuestStep,
    testGuestsStep,
    pythonProgramsStep,
  ];
  const problems = [];
  for (const step of steps.filter((one) => one.scopes.includes(context.scope))) {
    const problem = await runStep(step, context);
    if (problem) problems.push(problem);
  }
  for (const problem of problems) report(problem, context);
  if (problems.length === 0) return 0;
  return problems.some((problem) => problem.needsRoot) ? 4 : 3;
}

function report({ step, message, command }, context) {
  context.say(`\n${step}: ${message}`);
  if (command) context.say(`  Run:  ${command}`);
}

function print(stream, text, code) {
  stream.write(text);
  return code;
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
