/**
 * Certificates of the management controllers of a site's physical machines, and of the authorities that are trusted for them. The
 * worker looks, because controllers are often where nobody else gets to. No user and no password is sent.
 */
import { fewAtOnce } from '../model/few-at-once';
import type { CertificateSeen } from '../model/readiness/plan-risks';
import type { PhysicalMachine } from '../platforms/physical/machine';
import { inFile, look, shownBy } from './shown-certificate';

/** Controllers that do not answer must not keep the site from answering. */
const longestMs = 8_000;
const atOnce = 32;

/**
 * Each controller and each file once, with the machines that need it. Where any certificate is taken (`insecure`), and where a person
 * switches, there is none to look at. Never throws.
 */
export function lookAtControllers(
  machines: readonly Pick<PhysicalMachine, 'name' | 'power'>[],
): Promise<CertificateSeen[]> {
  const hosts = new Map<string, string[]>();
  const files = new Map<string, string[]>();
  const add = (to: Map<string, string[]>, key: string, name: string) => to.set(key, [...(to.get(key) ?? []), name]);
  for (const { name, power } of machines) {
    if (power.kind === 'person' || power.redfish.insecure || !power.redfish.url.startsWith('https:')) continue;
    add(hosts, new URL(power.redfish.url).host, name);
    if (power.redfish.caFile !== null) add(files, power.redfish.caFile, name);
  }
  const deadline = AbortSignal.timeout(longestMs);
  const shown = ([host, names]: [string, string[]]): Promise<CertificateSeen> =>
    look(names.join(', '), `${host} (controller of ${names.join(', ')})`, () =>
      deadline.aborted
        ? Promise.reject(new Error('not asked, because others took too long'))
        : shownBy(host, usualPort),
    );
  const read = ([path, names]: [string, string[]]): Promise<CertificateSeen> =>
    look(names.join(', '), path, () => inFile(path));
  return fewAtOnce(
    [...[...hosts].map((one) => () => shown(one)), ...[...files].map((one) => () => read(one))],
    atOnce,
    (ask) => ask(),
  );
}

const usualPort = 443;
