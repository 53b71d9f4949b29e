import fc from 'fast-check';
import { formatDuration, formatSize, formatTime } from '../../model/durations';
import { isUuid, isUuidV7, machineUuidOf, runIdOfMachine, timeOfUuidV7 } from '../../model/ids';
import {
  defaultMachineNames,
  machineNameFrom,
  machineNameMaxLength,
  printable,
  printableLines,
} from '../../model/names';
import { storyRunId } from '../support/order';

const facts = { serverName: 'app01', mode: 'rehearsal', siteId: 'frankfurt', runId: storyRunId } as const;

describe('durations and sizes', () => {
  test.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [12_340, '12.3 s'],
    [59_949, '59.9 s'],
    [59_950, '1 min 00 s'],
    [245_000, '4 min 05 s'],
    [3_599_600, '1 h 00 min'],
    [3_720_000, '1 h 02 min'],
    [86_399_000, '1 d 00 h'],
    [183_600_000, '2 d 03 h'],
    [-12_340, '−12.3 s'],
    [Number.NaN, 'unknown'],
  ])('%d ms reads %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  test('no unit is ever full: 60 of a smaller one is one of the larger', () => {
    fc.assert(
      fc.property(fc.nat(1e9), (ms) => expect(formatDuration(ms)).not.toMatch(/\b(1000 ms|60(\.\d)? s|60 min|24 h)\b/)),
    );
  });

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [1024 ** 2 - 1, '1 MiB'],
    [1.5 * 1024 ** 3, '1.5 GiB'],
    [770 * 1024 ** 2, '770 MiB'],
    [2 ** 60, '1024 PiB'],
  ])('%d bytes read %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));

  test('times are UTC with milliseconds, and what is no time is shown as it is', () => {
    expect(formatTime('2026-03-14T03:11:07.4+01:00')).toBe('2026-03-14 02:11:07.400 UTC');
    expect(formatTime('yesterday')).toBe('yesterday');
  });
});

describe('ids', () => {
  test('a machine carries its run: one to one, and a valid UUID of its own', () => {
    fc.assert(
      fc.property(fc.uuid({ version: 7 }), (runId) => {
        const machine = machineUuidOf(runId);
        expect(isUuid(machine) && !isUuidV7(machine)).toBe(true);
        expect(runIdOfMachine(machine)).toBe(runId);
      }),
    );
  });

  test('only a lower-case UUIDv7 is a run id', () => {
    expect(() => machineUuidOf('run-1')).toThrow('needed a UUID of version 7');
    expect(isUuidV7(storyRunId.toUpperCase())).toBe(false);
    expect(isUuidV7('2f1b8f64-6d0c-4a5b-9c1e-0d9c3b7f2a11')).toBe(false);
    expect(runIdOfMachine('2f1b8f64-6d0c-4a5b-9c1e-0d9c3b7f2a11')).toBeUndefined();
  });

  test('a UUIDv7 knows when it was made', () => {
    expect(timeOfUuidV7('0195923c-70b4-7c31-9a55-3f2e8d10c7aa')).toBe(0x0195923c70b4);
  });
});

describe('names', () => {
  test('a rehearsal is named after its run, so that two never share a name', () => {
    expect(machineNameFrom(defaultMachineNames.rehearsal, facts)).toBe('app01-rehearsal-8d10c7aa');
  });

  test('any server name gives a name that platforms take, and the run stays in it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200, unit: 'grapheme' }), (serverName) => {
        const name = machineNameFrom(defaultMachineNames.rehearsal, { ...facts, serverName });
        expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/);
        expect(name.length).toBeLessThanOrEqual(machineNameMaxLength);
        expect(name.endsWith('rehearsal-8d10c7aa')).toBe(true);
      }),
    );
  });

  test('an unknown field is refused with those that exist', () => {
    expect(() => machineNameFrom('{host}', facts)).toThrow('found {host}, needed {server}, {mode}, {site}, {run}');
  });

  test('a template that is too long by itself is refused', () => {
    expect(() => machineNameFrom(`{server}${'x'.repeat(80)}`, facts)).toThrow('needed 1 to 63 characters');
  });

  test('nothing printable can move the cursor, change colours or turn text around', () => {
    expect(printable('\u001b[31mred\u001b[0m \u001b]0;title\u0007x\u009b2J\u202eevil\r\nnext')).toBe(
      'red x�2J�evil next',
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printableLines(text).replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      }),
    );
  });
});
