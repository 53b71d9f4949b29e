/** What is wrong with runbooks and certificates, as far as it can be known without asking a platform. */
import { formatDuration } from '../durations';
import type { OrderProblem } from '../orders/build-plan';
import type { AskedOrder } from './site-risks';
import { installationSource, risk, siteSource, type RiskFound } from './risks';
import type { Verification } from './verified';

const day = 86_400_000;

/** Problems of a plan that would be built now. A failback has none before its servers are protected in that direction. */
export function planRisks(direction: 'recovery' | 'failback', problems: readonly OrderProblem[]): RiskFound[] {
  const severity = direction === 'failback' ? 'info' : 'critical';
  return problems.map(({ runbook, server, found, needed, remedy }) =>
    risk('runbook', severity, { kind: 'runbook', name: runbook }, server, installationSource, {
      found,
      needed,
      remedy,
    }),
  );
}

/**
 * One risk while it lasts, that becomes worse when the verification ends.
 *
 * @param soonMs how long before its end people are told
 */
export function rehearsalRisks(
  name: string,
  { state, because, until }: Verification,
  soonMs: number,
  nowMs: number,
): RiskFound[] {
  const remedy = `Rehearse it: \`muster run ${name} --mode rehearsal --reason …\``;
  const say = (severity: 'info' | 'warning', found: string): RiskFound =>
    risk('rehearsal', severity, { kind: 'runbook', name }, 'needed', installationSource, {
      found,
      needed: 'a rehearsal of this text on these servers that succeeded',
      remedy,
    });
  if (state !== 'verified') return [say('warning', shortList(because))];
  const leftMs = Date.parse(until!) - nowMs;
  return leftMs > soonMs ? [] : [say('info', `its verification ends in ${formatDuration(leftMs)}`)];
}

function shortList(items: readonly string[], most = 5): string {
  const more = items.length - most;
  return [...items.slice(0, most), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

/** Two servers of different runbooks that would want one name, or one address, at the same time. */
export function collisionRisks(asked: readonly AskedOrder[]): RiskFound[] {
  const claims = asked.flatMap(({ runbook, order }) => {
    const { siteId, machineName } = order.target;
    const ips = (order.addresses ?? []).flatMap(({ address }) => address.recovery?.ip.split('/')[0] ?? []);
    const macs = order.server.nics.map((nic) => nic.macAddress);
    const by = { runbook, server: order.server.name };
    return [
      { what: `name ${machineName} at site ${siteId}`, by },
      ...ips.map((ip) => ({ what: `address ${ip}`, by })),
      ...macs.map((mac) => ({ what: `hardware address ${mac}`, by })),
    ];
  });
  const byClaim = new Map<string, { runbook: string; server: string }[]>();
  for (const { what, by } of claims) byClaim.set(what, [...(byClaim.get(what) ?? []), by]);
  return [...byClaim].flatMap(([what, by]) => {
    const servers = [...new Set(by.map(({ server }) => server))].sort();
    if (servers.length < 2) return [];
    const runbooks = [...new Set(by.map(({ runbook }) => runbook))].sort();
    return [
      risk('collision', 'critical', { kind: 'server', name: servers[0]! }, what, installationSource, {
        found: `${servers.join(' and ')} want ${what} (runbooks ${runbooks.join(', ')})`,
        needed: 'a name and an address for each server',
        remedy: 'Give one of them another in its runbook, or correct the inventory.',
      }),
    ];
  });
}

/** A certificate that something of the configuration shows or needs, or a controller of a site's physical machines. */
export interface CertificateSeen {
  /** What it is for: `Postgres`, `webhook pager`; of a controller, its machines. */
  readonly of: string;
  /** File or address. */
  readonly at: string;
  /** UTC; null: it could not be read, and why. */
  readonly endsAt: string | null;
  readonly because: string | null;
}

/** @param siteId where the site's worker saw them; absent: the installation's own */
export function certificateRisks(
  seen: readonly CertificateSeen[],
  soonMs: number,
  nowMs: number,
  siteId?: string,
): RiskFound[] {
  const source = siteId === undefined ? installationSource : siteSource(siteId);
  return seen.flatMap(({ of, at, endsAt, because }): RiskFound[] => {
    const subject: RiskFound['subject'] =
      siteId === undefined ? { kind: 'installation', name: of } : { kind: 'site', name: siteId };
    const needed = `a certificate that is good for ${Math.round(soonMs / day)} days more`;
    if (endsAt === null) {
      const words = { found: `${at} cannot be read: ${because ?? 'no answer'}`, needed };
      return [
        risk('certificate', 'warning', subject, at, source, {
          ...words,
          remedy: 'Mend the file or the server that it names.',
        }),
      ];
    }
    const leftMs = Date.parse(endsAt) - nowMs;
    if (leftMs > soonMs) return [];
    const found =
      leftMs <= 0 ? `the one of ${at} ended at ${endsAt}` : `the one of ${at} ends in ${formatDuration(leftMs)}`;
    return [
      risk('certificate', leftMs < 7 * day ? 'critical' : 'warning', subject, at, source, {
        found,
        needed,
        remedy: 'Renew it, and restart what has it in use.',
      }),
    ];
  });
}

/** A site that did not answer: what it last said is kept, and this beside it. */
export function notAskedRisk(siteId: string, answeredAt: string | null, because: string): RiskFound {
  return risk('not-asked', 'warning', { kind: 'site', name: siteId }, null, installationSource, {
    found: `site ${siteId} was not asked since ${answeredAt ?? 'ever'}: ${because}`,
    needed: 'an answer in every round',
    remedy: 'Start a worker there and look at /api/v1/health; its earlier risks are shown as they were.',
  });
}
