import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { canonicalJson, sha256Hex } from '../../record/canonical';
import { verifyChain } from '../../record/chain';
import { ledgerRow, verifyLedger, type LedgerRow } from '../../record/ledger';
import { chainRows, emptyChain, eventOfRow, rowPreimage, type JournalRow } from '../../record/row';
import { closed, event, noted, opened } from '../store/run-events';

const chain = { tenantId: 'main', coreId: 'main', runId: '0198c0de-0000-7000-8000-000000000001' };
const rows = chainRows(chain, null, emptyChain, [
  opened(chain.runId),
  event('step-announced', { title: 'Freeze' }, { step: 'freeze' }),
  event('attempt-started', { token: 1, undo: false }, { step: 'freeze', item: 'disk0', attempt: 1 }),
  noted('a note'),
  closed(),
]);
const head = { sequence: 5, hash: rows[4]!.hash };

const docs = readFileSync(join(__dirname, '../../docs/record-format.md'), 'utf8');

/** Another value of the same type, as somebody who edits a row would write it. */
function changed(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (value === null) return 'x';
  return `${String(value)} `;
}

test('the preimage and hash of a row are those of docs/record-format.md', () => {
  const [row] = chainRows(
    { tenantId: 'main', coreId: 'main', runId: '0198c0de-0000-7000-8000-000000000001' },
    null,
    emptyChain,
    [noted('Grüße')],
  );
  const example = docs.match(/```json\n(?<preimage>.*)\n```[^`]*`(?<hash>[0-9a-f]{64})`/)?.groups;
  expect(rowPreimage(row!)).toBe(example?.['preimage']);
  expect(row!.hash).toBe(example?.['hash']);
  expect(createHash('sha256').update(example!['preimage']!).digest('hex')).toBe(example?.['hash']);
});

test('an untouched chain verifies up to its last row', () => {
  expect(verifyChain(rows, { end: head })).toEqual({ ok: true, rows: 5, head });
});

test('pages of a chain verify one after the other', () => {
  const first = verifyChain(rows.slice(0, 2));
  expect(first.ok && verifyChain(rows.slice(2), { after: first.head, end: head }).ok).toBe(true);
});

test('a change to any field of any row is found at that row', () => {
  for (const [index, row] of rows.entries()) {
    for (const field of Object.keys(row) as (keyof JournalRow)[]) {
      const tampered = rows.with(index, { ...row, [field]: changed(row[field]) } as JournalRow);
      const verdict = verifyChain(tampered, { end: head });
      expect({ field, ...verdict }).toMatchObject({ field, ok: false, sequence: index + 1, rows: index });
    }
  }
});

test('a row that was changed and hashed anew breaks the row after it', () => {
  const changedRow = { ...rows[1]!, actorName: 'Mallory' };
  const rehashed = { ...changedRow, hash: sha256Hex(rowPreimage(changedRow)) };
  expect(verifyChain(rows.with(1, rehashed))).toMatchObject({
    ok: false,
    sequence: 3,
    why: expect.stringMatching(/follows/),
  });
});

test('rows that are missing, doubled or exchanged are found', () => {
  expect(verifyChain([...rows.slice(0, 2), ...rows.slice(3)])).toMatchObject({
    ok: false,
    sequence: 3,
    why: 'row 3 is missing: row 4 comes next',
  });
  expect(verifyChain(rows.slice(1))).toMatchObject({ ok: false, sequence: 1 });
  expect(verifyChain([rows[0]!, rows[0]!])).toMatchObject({ ok: false, sequence: 2 });
  expect(verifyChain([rows[0]!, rows[2]!, rows[1]!])).toMatchObject({ ok: false, sequence: 2 });
});

test('rows cut off at the end are found by what the ledger says', () => {
  expect(verifyChain(rows.slice(0, 3)).ok).toBe(true);
  expect(verifyChain(rows.slice(0, 3), { end: head })).toMatchObject({
    ok: false,
    why: 'rows 4 to 5 are missing at the end',
  });
  expect(verifyChain([], { end: head })).toMatchObject({ ok: false, rows: 0 });
});

test('a row of another run does not fit, even with hashes of its own', () => {
  const foreign = chainRows({ ...chain, runId: 'other' }, null, { sequence: 1, hash: rows[0]!.hash }, [noted('x')]);
  expect(verifyChain([rows[0]!, ...foreign])).toMatchObject({
    ok: false,
    sequence: 2,
    why: expect.stringContaining('runId'),
  });
});

test('what is no row at all is a verdict, not an exception', () => {
  expect(verifyChain([{} as JournalRow])).toMatchObject({ ok: false, sequence: 1 });
  const noJson = { ...rows[0]!, body: '{' };
  expect(verifyChain([{ ...noJson, hash: sha256Hex(rowPreimage(noJson)) }])).toMatchObject({
    ok: false,
    why: expect.stringContaining('RFC 8785'),
  });
});

test('an event comes back from its row as it went in', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), fc.option(fc.nat()), (data, attempt) => {
      const before = event('attempt-succeeded', { token: 1, undo: false, result: data, durationMs: 3 }, { attempt });
      const [row] = chainRows(chain, null, emptyChain, [before]);
      expect(canonicalJson(eventOfRow(row!))).toBe(canonicalJson(before));
      expect(verifyChain([row!]).ok).toBe(true);
    }),
  );
});

test('the canonical form does not depend on the order of members', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (members) => {
      const backwards = Object.fromEntries(Object.entries(members).reverse());
      expect(canonicalJson(backwards)).toBe(canonicalJson(members));
    }),
  );
});

test('RFC 8785 example: numbers, escapes and order of members', () => {
  const value = {
    numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0],
    string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
    literals: [null, true, false],
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ud83d\ude00': 'Smiley',
  };
  expect(canonicalJson(value)).toBe(
    '{"\\r":"Carriage Return","literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],' +
      '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","€":"Euro Sign","😀":"Smiley"}',
  );
});

test('a changed, missing or exchanged row of the ledger is found', () => {
  const ledger: LedgerRow[] = [];
  for (const run of ['a', 'b', 'c']) {
    const before = ledger.at(-1) ?? emptyChain;
    ledger.push(ledgerRow(before, { ...chain, runId: run }, { head, state: 'succeeded', closedAt: closed().at }));
  }
  expect(verifyLedger(ledger)).toMatchObject({ ok: true, rows: 3 });
  for (const [index, row] of ledger.entries()) {
    for (const field of Object.keys(row) as (keyof LedgerRow)[]) {
      const tampered = ledger.with(index, { ...row, [field]: changed(row[field]) } as LedgerRow);
      expect({ field, ...verifyLedger(tampered) }).toMatchObject({ field, ok: false });
    }
  }
  expect(verifyLedger([ledger[0]!, ledger[2]!])).toMatchObject({ ok: false, sequence: 2 });
});
