/** What Postgres and its driver say, in our three families. SQLSTATE classes: PostgreSQL manual, appendix A. */
import { isMusterError, OperatorError, PermanentError, TransientError } from '../model/errors';

/** 08 connection, 53 resources, 57 operator intervention (stopping, starting, statement time-out), 58 system, 40 rollback. */
const transientClasses = ['08', '53', '57', '58', '40'];
/** 55P03 lock not available in time; 25006 read-only: a standby that has not taken over yet; 25P0x idle too long. */
const transientStates = ['55P03', '25006', '25P02', '25P03', '25P04'];
/** 28 login refused, 3D no such database, 3F no such schema, 42501 no privilege, 42P01 no such table. */
const operatorStates = ['28000', '28P01', '3D000', '3F000', '42501', '42P01', '42703'];

const networkCodes = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
];
const brokenConnection =
  /connection terminated|connection ended|timeout expired|timeout acquiring|not queryable|aborted/i;

/**
 * Turns any failure of a database call into one of the three families; ours pass unchanged.
 *
 * @param what the call, as a clause: `the journal could not be written`
 * @param where host, port and database, without a password
 */
export function storeFailure(what: string, where: string, error: unknown): Error {
  if (isMusterError(error)) return error;
  const code = codeOf(error);
  const found = messageOf(error);
  // The driver's own message holds the whole statement: too much for a workflow's history, and it may hold secrets.
  const options = { cause: new Error(found) };
  if (isUnreachable(code, found)) {
    const remedy = `Check that Postgres runs at ${where} and is reachable from here; it is tried again by itself.`;
    return new TransientError({ what, found, needed: `an answer from Postgres at ${where}`, remedy }, options);
  }
  if (operatorStates.includes(code)) {
    const remedy = `Check the login and its rights at ${where}, and that \`muster\` has migrated this database.`;
    return new OperatorError({ what, found: `${found} (SQLSTATE ${code})`, remedy }, options);
  }
  return new PermanentError({ what, found: code === '' ? found : `${found} (SQLSTATE ${code})` }, options);
}

function isUnreachable(code: string, message: string): boolean {
  if (networkCodes.includes(code) || transientStates.includes(code)) return true;
  if (/^[0-9A-Z]{5}$/.test(code)) return transientClasses.includes(code.slice(0, 2));
  return brokenConnection.test(message);
}

/** SQLSTATE or errno name; '' when the error has neither. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Node tries every address of a name and throws an AggregateError when all refuse.
  if ('errors' in error && Array.isArray(error.errors)) return codeOf(error.errors[0]);
  return '';
}

/** The constraint that an insert or update broke, where Postgres names one. */
export function constraintOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('constraint' in error)) return undefined;
  return typeof error.constraint === 'string' ? error.constraint : undefined;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return lastPart(error.message);
  return codeOf(error) || error.name;
}

/** knex puts the whole statement, with its values, before the reason; values may be secret. */
function lastPart(message: string): string {
  const cut = message.lastIndexOf(' - ');
  return cut === -1 ? message : message.slice(cut + 3);
}
