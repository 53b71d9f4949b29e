/**
 * What Muster's npm packages bring with them, besides code: `node tools/audit.mjs [--registry URL]`.
 *
 * - Licences: every package in package-lock.json must have one that was looked at (`allowed`); another one is named.
 * - Advisories: `npm audit` over what runs in production; one of severity high or critical is a failure. A registry without
 *   the advisories service (a mirror that only serves packages) is said so in plain words: then nothing was checked.
 *
 * Exit code 0: nothing wrong was found; 1: a licence or an advisory.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Licences that let everybody use, change and pass on, as SPDX names them. CC-BY is that of data (browser tables). */
export const allowed = new Set([
  ...[
    'MIT',
    'MIT-0',
    'ISC',
    'Apache-2.0',
    'BSD-2-Clause',
    'BSD-3-Clause',
    '0BSD',
    'BlueOak-1.0.0',
    'Unlicense',
    'Python-2.0',
  ],
  ...['Apache-2.0 AND MIT', '(MIT OR CC0-1.0)', 'CC-BY-4.0'],
]);

/** Packages that declare none, with what the file LICENSE in them says. */
const read = { unionfs: 'Unlicense' };

/** Packages of a lock file whose licence is not one of `allowed`, as `name: licence`. */
export function strangers(lock, licenceOf = installedLicence) {
  return Object.entries(lock.packages)
    .filter(([place]) => place !== '')
    .map(([place, { license }]) => ({ place, licence: license ?? licenceOf(place) }))
    .map(({ place, licence }) => ({ name: place.replace(/^.*node_modules\//, ''), licence }))
    .filter(({ name, licence }) => !allowed.has(licence ?? read[name]))
    .map(({ name, licence }) => `${name}: ${licence ?? 'no licence'}`);
}

/** Some packages name theirs only in their own package.json. */
function installedLicence(place) {
  try {
    return JSON.parse(readFileSync(path.join(root, place, 'package.json'), 'utf8')).license;
  } catch {
    return undefined;
  }
}

/** `{ checked: false, because }` where the registry does not answer this question. */
export async function advisories(registry) {
  const args = ['audit', '--omit=dev', '--json', ...(registry === undefined ? [] : ['--registry', registry])];
  const report = await new Promise((resolve) => {
    execFile('npm', args, { cwd: root, maxBuffer: 64 << 20, timeout: 120_000 }, (_error, stdout) => {
      try {
        resolve(JSON.parse(stdout));
      } catch {
        resolve({ message: 'npm audit printed no report' });
      }
    });
  });
  if (report.vulnerabilities === undefined) return { checked: false, because: String(report.message) };
  const grave = Object.values(report.vulnerabilities).filter(({ severity }) => /high|critical/.test(severity));
  return { checked: true, grave: grave.map(({ name, severity }) => `${name}: ${severity}`) };
}

async function main(args) {
  const registry = args[0] === '--registry' ? args[1] : undefined;
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const unknown = strangers(lock);
  for (const one of unknown) console.log(`licence to look at: ${one}`);
  const audit = await advisories(registry);
  if (!audit.checked) console.log(`advisories were not checked: this registry has no such service (${audit.because})`);
  for (const one of audit.grave ?? []) console.log(`advisory: ${one}`);
  const wrong = unknown.length + (audit.grave?.length ?? 0);
  if (wrong === 0) {
    const packages = Object.keys(lock.packages).length - 1;
    console.log(`${packages} packages: licences are as allowed${audit.checked ? ', no grave advisory' : ''}`);
  }
  return wrong === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main(process.argv.slice(2)).then((code) => (process.exitCode = code));
