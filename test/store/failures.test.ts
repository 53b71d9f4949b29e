import { OperatorError, type MusterError } from '../../model/errors';
import { storeFailure, codeOf } from '../../store/failures';
import { whereIs } from '../../store/database';

const failureOf = (error: unknown): MusterError =>
  storeFailure('the runs could not be listed', 'db:5432/muster', error) as MusterError;
const withCode = (code: string): Error => Object.assign(new Error('no'), { code });

test('what passes by itself is transient: refused, cut, starting, stopping, full, read-only, deadlock, too slow', () => {
  for (const code of [
    'ECONNREFUSED',
    'ECONNRESET',
    '57P01',
    '57P03',
    '53300',
    '25006',
    '40P01',
    '55P03',
    '57014',
    '08006',
  ]) {
    expect(failureOf(withCode(code))).toMatchObject({ name: 'TransientError' });
  }
  expect(failureOf(new Error('Connection terminated unexpectedly'))).toMatchObject({ name: 'TransientError' });
});

test('what needs a person is for the operator: login, database, rights, schema', () => {
  for (const code of ['28P01', '28000', '3D000', '42501', '42P01']) {
    expect(failureOf(withCode(code))).toMatchObject({ name: 'OperatorError', message: expect.stringContaining(code) });
  }
});

test('anything else is permanent', () => {
  expect(failureOf(withCode('23502'))).toMatchObject({ name: 'PermanentError' });
  expect(failureOf(new TypeError('x is undefined'))).toMatchObject({ name: 'PermanentError' });
});

test('a name whose addresses all refuse is refused', () => {
  const error = new AggregateError([withCode('ECONNREFUSED'), withCode('ECONNREFUSED')]);
  expect(codeOf(error)).toBe('ECONNREFUSED');
  expect(failureOf(error)).toMatchObject({ name: 'TransientError', message: expect.stringContaining('ECONNREFUSED') });
});

test('our own errors pass unchanged', () => {
  const ours = new OperatorError('the database is not migrated');
  expect(failureOf(ours)).toBe(ours);
});

test('neither the statement nor its values leave the store, not even as a cause', () => {
  const error = Object.assign(new Error('insert into "muster"."people" values ($1, hush) - permission denied'), {
    code: '42501',
  });
  const failure = failureOf(error);
  const cause = failure.cause as Error;
  expect(failure.message).toContain('permission denied');
  for (const text of [failure.message, cause.message, cause.stack, failure.stack]) expect(text).not.toContain('hush');
});

test('an address is named without its password', () => {
  expect(whereIs('postgres://u:hush@db.example:6000/muster')).toBe('db.example:6000/muster');
  expect(whereIs('postgres://u:hush@localhost/muster')).toBe('localhost:5432/muster');
  expect(whereIs('host=x password=hush')).toBe('the configured address');
});
