/** Risks come and go with their times, whoever finds them and however often. */
import { rehearsalRisks } from '../../model/readiness/plan-risks';
import { installationSource, risk, siteSource, type RiskFound, type Severity } from '../../model/readiness/risks';
import type { NotificationRule } from '../../model/runbook/runbook';
import { defaultScope, type Store } from '../../store/contract';
import { openStore } from '../../store/open-store';
import { renderMail } from '../../templates/render-mail';
import { at } from './run-events';
import { withStore } from './store';

const dr = siteSource('dr');
const far = siteSource('far');
const lag = (name: string, source = dr, severity: Severity = 'warning', found = '5 min'): RiskFound =>
  risk('replication', severity, { kind: 'server', name }, 'lag', source, { found, needed: '1 min', remedy: 'look' });
const rule: NotificationRule = { on: ['risk'], mail: ['ops@example.org'], webhooks: [] };
const round = (second: number, asked: string[], found: RiskFound[]) => ({
  ...{ at: at(second), asked, sources: [dr, far], found },
  rules: () => [rule],
});
const ids = async (store: Store, goneSince?: string) =>
  (await store.risks.list(goneSince === undefined ? {} : { goneSince })).map(({ id, since, goneAt }) => [
    id,
    since,
    goneAt,
  ]);

test('a risk keeps the time at which it appeared, is over when the same source does not find it, and comes back anew', () =>
  withStore(async (store) => {
    expect(await store.risks.reconcile(round(0, [dr], [lag('db01')]))).toEqual({ appeared: 1, gone: 0 });
    expect(await store.risks.reconcile(round(10, [dr], [lag('db01', dr, 'critical', '9 min')]))).toEqual({
      appeared: 0,
      gone: 0,
    });
    const [seen] = await store.risks.list({});
    expect(seen).toMatchObject({ since: at(0), seenAt: at(10), severity: 'critical', found: '9 min', goneAt: null });
    expect(await store.risks.reconcile(round(20, [dr], []))).toEqual({ appeared: 0, gone: 1 });
    expect(await ids(store)).toEqual([]);
    expect(await ids(store, at(20))).toEqual([['replication/server/db01/lag', at(0), at(20)]]);
    expect(await ids(store, at(21))).toEqual([]);
    await store.risks.reconcile(round(30, [dr], [lag('db01')]));
    expect(await ids(store)).toEqual([['replication/server/db01/lag', at(30), null]]);
  }));

test('what a silent site found before stays; what nobody will ask again is over', () =>
  withStore(async (store) => {
    await store.risks.reconcile(round(0, [dr, far], [lag('db01'), lag('app01', far)]));
    await store.risks.reconcile(round(10, [dr], []));
    expect(await ids(store)).toEqual([['replication/server/app01/lag', at(0), null]]);
    await store.risks.reconcile({ ...round(20, [dr], []), sources: [dr] });
    expect(await ids(store)).toEqual([]);
  }));

test('people are told once when it appears, when it has become critical and when it goes, each time that it does', () =>
  withStore(async (store) => {
    const told = async () => {
      await store.notifications.address({ defaults: [], windowMs: 0, quietMs: 0 });
      const all = await store.notifications.list({ limit: 50 });
      return all.map(({ key, epoch, stage, to }) => [key, epoch, stage, to].join(' ')).sort();
    };
    const of = (epoch: number, stage: number) => `risk/replication/server/db01/lag ${epoch} ${stage} ops@example.org`;
    await store.risks.reconcile(round(0, [dr], [lag('db01', dr, 'info')]));
    expect(await told()).toEqual([]);
    await store.risks.reconcile(round(1, [dr], [lag('db01')]));
    await store.risks.reconcile(round(2, [dr], [lag('db01')]));
    expect(await told()).toEqual([of(1, 0)]);
    await store.risks.reconcile(round(3, [dr], []));
    await store.risks.reconcile(round(4, [dr], [lag('db01')]));
    expect(await told()).toEqual([of(1, 0), of(1, 1), of(2, 0)]);
    await store.risks.reconcile(round(5, [dr], [lag('db01', dr, 'critical', '9 min')]));
    await store.risks.reconcile(round(6, [dr], [lag('db01')]));
    await store.risks.reconcile(round(7, [dr], [lag('db01', dr, 'critical', '11 min')]));
    expect(await told()).toEqual([of(1, 0), of(1, 1), of(2, 0), of(2, 2)]);
  }));

test('a verification that ends is told as what was due and is worse now, and is over only when there is a rehearsal', () =>
  withStore(async (store) => {
    const until = at(100);
    const told = async () => {
      await store.notifications.address({ defaults: [], windowMs: 0, quietMs: 0 });
      const parcel = await store.notifications.take('mail', 60_000);
      if (parcel === undefined) return null;
      const by = { actor: { kind: 'worker', id: 'w', name: 'w' }, authMethod: '', requestId: '', address: '' } as const;
      await store.notifications.sent(parcel, by);
      const { text, subject } = renderMail({ notices: parcel.notices, publicUrl: null, now: at(0) });
      expect(text).toContain('shop');
      return [subject, ...parcel.notices.map(({ epoch, facts }) => `${epoch} ${facts.over ? 'over' : 'there'}`)];
    };
    const look = (second: number, state: 'verified' | 'needs-rehearsal', ends = until) => {
      const verification = { state, because: ['it is too old'], rehearsal: null, until: ends };
      const found = rehearsalRisks('shop', verification, 50_000, Date.parse(at(second)));
      const all = { ...round(second, [installationSource], found), sources: [installationSource] };
      return store.risks.reconcile({ ...all, rules: () => [{ ...rule, on: ['rehearsal-due'] }] });
    };
    expect(await look(40, 'verified')).toEqual({ appeared: 0, gone: 0 });
    expect(await look(60, 'verified')).toEqual({ appeared: 1, gone: 0 });
    expect(await told()).toEqual([expect.stringMatching(/^Rehearsal due: shop: .* ends in 40\.0 s/), '1 there']);
    expect(await look(110, 'needs-rehearsal')).toEqual({ appeared: 0, gone: 0 });
    expect(await told()).toEqual([expect.stringMatching(/^Rehearsal needed now: shop: it is too old/), '1 there']);
    expect(await look(120, 'needs-rehearsal')).toEqual({ appeared: 0, gone: 0 });
    expect(await told()).toBeNull();
    // Rehearsed, for a short time only: that is over, and the next is due.
    expect(await look(130, 'verified', at(170))).toEqual({ appeared: 1, gone: 1 });
    expect([await told(), await told()].sort()).toEqual([
      [expect.stringMatching(/^No rehearsal due any more: shop/), '1 over'],
      [expect.stringMatching(/^Rehearsal due: shop: .* ends in 40\.0 s/), '2 there'],
    ]);
    expect(await look(180, 'needs-rehearsal')).toEqual({ appeared: 0, gone: 0 });
    expect(await told()).toEqual([expect.stringMatching(/^Rehearsal needed now/), '2 there']);
    expect(await look(190, 'verified', at(900))).toEqual({ appeared: 0, gone: 1 });
    expect(await told()).toEqual([expect.stringMatching(/^No rehearsal due any more/), '2 over']);
  }));

test('what was told and is only worth knowing now is over', () =>
  withStore(async (store) => {
    await store.risks.reconcile(round(0, [dr], [lag('db01')]));
    expect(await store.risks.reconcile(round(10, [dr], [lag('db01', dr, 'info')]))).toEqual({ appeared: 1, gone: 1 });
    await store.notifications.address({ defaults: [], windowMs: 0, quietMs: 0 });
    const all = await store.notifications.list({ limit: 50 });
    expect(all.map(({ epoch, stage }) => [epoch, stage]).sort()).toEqual([
      [1, 0],
      [1, 1],
    ]);
    expect(await ids(store)).toEqual([['replication/server/db01/lag', at(10), null]]);
  }));

test('a rehearsal that will be due is told as such, to whom that is for, though it is no warning yet; and that it is due no more', () =>
  withStore(async (store) => {
    const rules = () => [
      { on: ['rehearsal-due' as const], mail: ['coordinators@example.org'], webhooks: [] },
      { on: ['risk' as const], mail: ['ops@example.org'], webhooks: [] },
    ];
    const told = async () => {
      await store.notifications.address({ defaults: [], windowMs: 0, quietMs: 0 });
      const all = await store.notifications.list({ limit: 50 });
      return all.map(({ occasion, name, stage, to }) => [occasion, name, stage, to].join(' ')).sort();
    };
    const day = 86_400_000;
    const verified = { state: 'verified', because: [], rehearsal: null, until: at(0) } as const;
    const due = rehearsalRisks('shop', verified, 14 * day, Date.parse(at(0)) - 3 * day);
    expect(due.map(({ severity }) => severity)).toEqual(['info']);
    await store.risks.reconcile({ ...round(0, [installationSource], due), sources: [installationSource], rules });
    const isDue = 'rehearsal-due shop 0 coordinators@example.org';
    expect(await told()).toEqual([isDue]);
    await store.risks.reconcile({ ...round(1, [installationSource], []), sources: [installationSource], rules });
    expect(await told()).toEqual([isDue, 'rehearsal-due shop 1 coordinators@example.org']);
  }));

test('rounds of several processes at once keep each risk once, and each round is one process’s', () =>
  withStore(async (store, url) => {
    const other = openStore(url, defaultScope);
    try {
      const many = Array.from({ length: 40 }, (_, index) => lag(`server${index}`));
      await Promise.all([store, other].map((one) => one.risks.reconcile(round(0, [dr], many))));
      expect(await ids(store)).toHaveLength(40);
      const turns = await Promise.all(
        Array.from({ length: 6 }, (_, index) => (index % 2 ? store : other).risks.takeTurn(at(0), 60_000)),
      );
      expect(turns.filter(Boolean)).toHaveLength(1);
      expect(await store.risks.takeTurn(at(0), 0)).toBe(true);
    } finally {
      await other.close();
    }
  }));

test('when a site was asked and when it answered are two times', () =>
  withStore(async (store) => {
    await store.risks.noteAsked(dr, at(0), null);
    await store.risks.noteAsked(dr, at(10), 'no worker');
    await store.risks.noteAsked(far, at(10), 'no worker');
    expect(await store.risks.asked()).toEqual([
      { source: dr, askedAt: at(10), answeredAt: at(0), because: 'no worker' },
      { source: far, askedAt: at(10), answeredAt: null, because: 'no worker' },
    ]);
  }));
