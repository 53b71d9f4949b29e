import { Client } from 'pg';
import { verifyChain } from '../../record/chain';
import { createJournalActivities } from '../../activities/journal';
import { anna, at, batch, closed, event, newRunId, noted, opened } from './run-events';
import { withStore } from './store';

test('rows are numbered from 1 without holes over several flushes, and their chain verifies', () =>
  withStore(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), noted('one')]));
    const head = await store.journal.append(batch(runId, 2, [noted('two'), noted('three')]));
    const rows = await store.journal.rows(runId);
    expect(rows.map((row) => row.sequence)).toEqual([1, 2, 3, 4]);
    expect(verifyChain(rows)).toEqual({ ok: true, rows: 4, head: { sequence: 4, hash: head.lastHash } });
  }));

test('the same flush again changes nothing and gets the same answer', () =>
  withStore(async (store) => {
    const runId = newRunId();
    const first = batch(runId, 1, [opened(runId), noted('one')]);
    const { appendJournal } = createJournalActivities(store);
    const answer = await appendJournal(first);
    await appendJournal(batch(runId, 2, [noted('two')]));
    expect(await appendJournal(first)).toEqual(answer);
    expect(await store.journal.rows(runId)).toHaveLength(3);
  }));

test('one flush sent by ten workers at once is stored once', () =>
  withStore(async (store) => {
    const runId = newRunId();
    const first = batch(runId, 1, [opened(runId), noted('one')]);
    const answers = await Promise.all(Array.from({ length: 10 }, () => store.journal.append(first)));
    expect(new Set(answers.map((answer) => answer.lastHash)).size).toBe(1);
    expect(await store.journal.rows(runId)).toHaveLength(2);
  }));

test('different flushes of one run at once leave neither a hole nor a broken chain', () =>
  withStore(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId)]));
    const flushes = Array.from({ length: 20 }, (_, i) => batch(runId, i + 2, [noted(`a${i}`), noted(`b${i}`)]));
    await Promise.all(flushes.map((flush) => store.journal.append(flush)));
    const rows = await store.journal.rows(runId);
    expect(rows.map((row) => row.sequence)).toEqual(Array.from({ length: 41 }, (_, i) => i + 1));
    expect(verifyChain(rows).ok).toBe(true);
  }));

test('a flush that comes again with other events is refused, not lost', () =>
  withStore(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId)]));
    await expect(store.journal.append(batch(runId, 1, [noted('other')]))).rejects.toMatchObject({
      name: 'PermanentError',
      message: expect.stringContaining('flush 1'),
    });
    expect(await store.journal.rows(runId)).toHaveLength(1);
  }));

test('a closed record takes nothing more; what it has taken is answered as before, and closing it twice changes nothing', () =>
  withStore(async (store) => {
    const runId = newRunId();
    const first = batch(runId, 1, [opened(runId), { ...noted('late'), at: at(60) }]);
    const head = await store.journal.append(first);
    const closing = { by: anna, at: at(30), summary: 'Temporal has lost it' };
    const both = await Promise.all([store.journal.close(runId, closing), store.journal.close(runId, closing)]);
    expect(both.sort()).toEqual([false, true]);
    expect(await store.journal.close(newRunId(), closing)).toBe(false);
    expect(await store.journal.append(first)).toEqual(head);
    await expect(store.journal.append(batch(runId, 2, [noted('I am back')]))).rejects.toMatchObject({
      name: 'PermanentError',
      message: expect.stringMatching(/closed, and its workflow goes on.*end its workflow/s),
    });
    const rows = await store.journal.rows(runId);
    expect(verifyChain(rows)).toMatchObject({ ok: true, rows: 3 });
    // Never before what stands before it.
    expect(rows[2]).toMatchObject({ kind: 'run-closed', at: at(60), actorName: 'Anna' });
    expect(await store.runs.get(runId)).toMatchObject({ state: 'failed', closedAt: at(60) });
  }));

test('NUL, lone surrogates and emoji in bodies and columns are stored and verify', () =>
  withStore(async (store) => {
    const runId = newRunId();
    const strange = noted('nul \0 lone \ud800 emoji \u{1f600}');
    const by = { ...strange.by, address: 'a\0b\udc00', actor: { ...strange.by.actor, name: 'A\0nna' } };
    await store.journal.append(batch(runId, 1, [opened(runId), { ...strange, by }]));
    const rows = await store.journal.rows(runId);
    expect(verifyChain(rows).ok).toBe(true);
    expect(JSON.parse(rows[1]!.body)).toEqual({ message: 'nul \0 lone \ufffd emoji \u{1f600}' });
    expect(rows[1]).toMatchObject({ address: 'a\ufffdb\ufffd', actorName: 'A\ufffdnna' });
  }));

test('more rows than one statement takes are stored in one flush', () =>
  withStore(async (store) => {
    const runId = newRunId();
    const many = Array.from({ length: 1201 }, (_, i) => noted(`note ${i}`));
    const head = await store.journal.append(batch(runId, 1, [opened(runId), ...many]));
    expect(head.lastSequence).toBe(1202);
    const page = await store.journal.rows(runId, 1200, 10);
    expect(page.map((row) => row.sequence)).toEqual([1201, 1202]);
  }));

test('an empty flush adds no row and answers with the end of the chain', () =>
  withStore(async (store) => {
    const runId = newRunId();
    const head = await store.journal.append(batch(runId, 1, [opened(runId)]));
    expect(await store.journal.append(batch(runId, 2, []))).toEqual(head);
  }));

test('the order of a run comes back from its first row', () =>
  withStore(async (store) => {
    const runId = newRunId();
    expect(await store.order(runId)).toBeUndefined();
    const first = opened(runId);
    await store.journal.append(batch(runId, 1, [first]));
    expect(first.kind === 'run-opened' && first.data.order).toEqual(await store.order(runId));
  }));

test('what was refused at the door stands in a chain of the installation', () =>
  withStore(async (store) => {
    const refusal = event('decision-refused', { decision: 'skip', because: 'a viewer may not decide' });
    await Promise.all(Array.from({ length: 5 }, () => store.journal.refuse(refusal)));
    const rows = await store.journal.rows('installation');
    expect(verifyChain(rows)).toMatchObject({ ok: true, rows: 5 });
    expect(rows[4]).toMatchObject({ kind: 'decision-refused', actorName: 'Anna', actorRole: 'operator' });
  }));

test('no run can write into the chain of the installation', () =>
  withStore(async (store) => {
    for (const runId of ['installation', 'ledger']) {
      await expect(store.journal.append(batch(runId, 1, [noted('x')]))).rejects.toMatchObject({
        name: 'PermanentError',
      });
    }
  }));

test('runs that close at once enter the ledger one after the other', () =>
  withStore(async (store) => {
    const runIds = Array.from({ length: 8 }, newRunId);
    const heads = await Promise.all(
      runIds.map((runId) => store.journal.append(batch(runId, 1, [opened(runId), closed()]))),
    );
    const ledger = await store.ledger();
    expect(ledger.map((row) => row.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(new Set(ledger.map((row) => row.runHash))).toEqual(new Set(heads.map((head) => head.lastHash)));
    expect(ledger.every((row, i) => row.previousHash === (ledger[i - 1]?.hash ?? '0'.repeat(64)))).toBe(true);
  }));

test('what a superuser changed or cut off in the database is found by the chain and the ledger', () =>
  withStore(async (store, url) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), noted('what was said'), noted('more'), closed()]));
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(`set muster.maintenance = 'on'`);
    await client.query('delete from muster.journal where sequence = 4');
    const [entry] = await store.ledger();
    const end = { sequence: entry!.runSequence, hash: entry!.runHash };
    const cut = verifyChain(await store.journal.rows(runId), { end });
    await client.query(`update muster.journal set body = replace(body, 'what was said', 'nothing') where sequence = 2`);
    await client.end();
    expect(cut).toMatchObject({ ok: false, sequence: 4, why: 'rows 4 to 4 are missing at the end' });
    const verdict = verifyChain(await store.journal.rows(runId), { end });
    expect(verdict).toMatchObject({ ok: false, sequence: 2, why: expect.stringContaining('its content was changed') });
  }));
