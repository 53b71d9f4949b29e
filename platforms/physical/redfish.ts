/**
 * Power of a machine through its management controller, by Redfish.
 *
 * Source of the facts: DMTF DSP0266 (protocol; HTTP basic authentication is required of every service, 13.3) and the
 * schema ComputerSystem (PowerState, Boot, the action Reset). Tested against sushy-tools' emulator.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatorError, PermanentError, TransientError, type MusterError } from '../../model/errors';
import { printable } from '../../model/names';
import { describeSecretRef, type SecretRef } from '../../model/secrets';
import type { CallOptions } from '../contract';
import { ask, NoAnswer, type Answer, type Ask } from './http';
import type { RedfishPower } from './machine';

export interface Redfish {
  /** The controller's own words: On, Off, PoweringOn, PoweringOff, Paused. */
  state(options?: CallOptions): Promise<string>;
  /** Asks for the next boot from disk where that can be asked, switches on, waits. Already on: already so. */
  on(options?: WaitOptions): Promise<void>;
  /** Cuts the power and waits. Already off: already so. */
  off(options?: WaitOptions): Promise<void>;
  /** Presses the power button and waits. @throws TransientError when it is still on at the deadline. */
  shutdown(options?: WaitOptions): Promise<void>;
}

export type WaitOptions = CallOptions & { readonly deadlineMs?: number };

export interface RedfishSettings {
  readonly machine: string;
  readonly power: RedfishPower;
  readonly secret: (ref: SecretRef) => Promise<Buffer>;
  readonly answerTimeoutMs: number;
  readonly pollMs: number;
}

type Json = Readonly<Record<string, unknown>>;

const defaultDeadlineMs = 180_000;

export function openRedfish(settings: RedfishSettings): Redfish {
  const { machine, power } = settings;
  const read = (options: CallOptions): Promise<System> => readSystem(settings, options);
  const waitFor = async (wanted: 'On' | 'Off', asked: string, options: WaitOptions): Promise<void> => {
    const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
    for (const end = performance.now() + deadlineMs; ;) {
      const { state } = await read(options);
      if (state === wanted) return;
      if (performance.now() > end) throw notThere(machine, { wanted, asked, state, deadlineMs });
      await sleep(settings.pollMs, undefined, options.signal ? { signal: options.signal } : {}).catch(() =>
        options.signal?.throwIfAborted(),
      );
    }
  };
  return {
    state: async (options = {}) => (await read(options)).state,
    async on(options = {}) {
      const system = await read(options);
      if (system.state === 'On') return;
      if (system.state !== 'PoweringOn') {
        await bootFromDisk(settings, system, options);
        await reset(settings, system, ['On', 'ForceOn', 'PushPowerButton'], options);
      }
      await waitFor('On', 'switched on', options);
    },
    async off(options = {}) {
      const system = await read(options);
      if (system.state === 'Off') return;
      await reset(settings, system, ['ForceOff'], options);
      await waitFor('Off', 'switched off', options);
    },
    async shutdown(options = {}) {
      const system = await read(options);
      if (system.state === 'Off') return;
      if (system.state !== 'PoweringOff')
        await reset(settings, system, ['GracefulShutdown', 'PushPowerButton'], options);
      await waitFor('Off', 'asked to shut down', options);
    },
  };
  function notThere(name: string, facts: { wanted: string; asked: string; state: string; deadlineMs: number }) {
    const { wanted, asked, state, deadlineMs } = facts;
    const what =
      asked === 'asked to shut down' ? `${name} does not shut down` : `${name} was ${asked} and is not ${wanted}`;
    return new TransientError({
      what,
      found: `PowerState ${state} after ${Math.round(deadlineMs / 1000)} s`,
      needed: wanted,
      remedy: `Look at its console and at ${power.url}; it can be switched there.`,
    });
  }
}

interface System {
  readonly path: string;
  readonly state: string;
  readonly etag: string | undefined;
  readonly resetPath: string;
  /** Empty where the service does not tell. */
  readonly resetTypes: readonly string[];
  readonly bootTargets: readonly string[];
}

async function readSystem(settings: RedfishSettings, options: CallOptions): Promise<System> {
  const path = `/redfish/v1/Systems/${settings.power.systemId}`;
  const answer = await call(settings, 'GET', path, undefined, options);
  if (answer.status === 404) throw await unknownSystem(settings, options);
  if (answer.status !== 200) throw refused(settings, `GET ${path}`, answer);
  const body = parse(settings, path, answer);
  const state = body['PowerState'];
  if (typeof state !== 'string') {
    throw new PermanentError({
      what: `the controller of ${settings.machine} does not tell its power state`,
      found: `no PowerState in ${path}`,
      needed: 'a ComputerSystem with PowerState',
      remedy: 'Correct systemId in the configuration; or let a person switch this machine (power: person).',
    });
  }
  const action = asJson(asJson(body['Actions'])['#ComputerSystem.Reset']);
  const target = action['target'];
  return {
    path,
    state: printable(state).slice(0, 40),
    etag: typeof answer.headers['etag'] === 'string' ? answer.headers['etag'] : undefined,
    // Only ever a path of the same service: the password goes there, too.
    resetPath: typeof target === 'string' && /^\/[^/\\]/.test(target) ? target : `${path}/Actions/ComputerSystem.Reset`,
    resetTypes: texts(action['ResetType@Redfish.AllowableValues']),
    bootTargets: texts(asJson(body['Boot'])['BootSourceOverrideTarget@Redfish.AllowableValues']),
  };
}

/** Best-effort: many controllers refuse it in some states, and a disk is the usual place to boot from anyway. */
async function bootFromDisk(settings: RedfishSettings, system: System, options: CallOptions): Promise<void> {
  if (!system.bootTargets.includes('Hdd')) return;
  const body = { Boot: { BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: 'Hdd' } };
  await call(settings, 'PATCH', system.path, body, options, system.etag);
}

async function reset(settings: RedfishSettings, system: System, wanted: readonly string[], options: CallOptions) {
  const { resetTypes } = system;
  const type = resetTypes.length === 0 ? wanted[0] : wanted.find((one) => resetTypes.includes(one));
  if (type === undefined) {
    throw new PermanentError({
      what: `the controller of ${settings.machine} cannot do this`,
      found: `resets ${printable(resetTypes.join(', ')).slice(0, 200)}`,
      needed: wanted.join(' or '),
      remedy: 'Do it at the machine and skip the step; or let a person switch this machine (power: person).',
    });
  }
  const answer = await call(settings, 'POST', system.resetPath, { ResetType: type }, options);
  if (answer.status >= 200 && answer.status < 300) return;
  throw refused(settings, `Reset ${type}`, answer);
}

async function call(
  settings: RedfishSettings,
  method: Ask['method'],
  path: string,
  body: unknown,
  options: CallOptions,
  etag?: string,
): Promise<Answer> {
  const { power, secret, answerTimeoutMs } = settings;
  const password = (await secret(power.password)).toString('utf8');
  const authorization = `Basic ${Buffer.from(`${power.user}:${password}`).toString('base64')}`;
  const { caFile, insecure } = power;
  const url = `${power.url.replace(/\/$/, '')}${path}`;
  const headers = { authorization, ...(etag === undefined ? {} : { 'if-match': etag }) };
  const wanted = { url, method, headers, body, caFile, insecure, timeoutMs: answerTimeoutMs, signal: options.signal };
  const answer = await ask(wanted).catch((error: unknown) => {
    throw error instanceof NoAnswer ? noAnswer(settings, error) : error;
  });
  if (answer.status === 401 || answer.status === 403 || answer.status >= 500 || answer.status === 429) {
    throw refused(settings, `${method} ${path}`, answer);
  }
  return answer;
}

/** OpenSSL's names of what is wrong with a certificate, as Node hands them on. */
const certificateCodes = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ISSUER|ERR_TLS_CERT_ALTNAME|HOSTNAME_MISMATCH/;

function noAnswer({ machine, power }: RedfishSettings, error: NoAnswer): MusterError {
  const what = `the controller of ${machine} does not answer`;
  if (certificateCodes.test(error.code)) {
    return new OperatorError({
      what: `the controller of ${machine} shows a certificate that cannot be trusted`,
      found: `${printable(error.message).slice(0, 200)} (${error.code})`,
      needed: `a certificate for ${new URL(power.url).hostname} from a known authority`,
      remedy:
        'Name its authority in caFile; if the network between is yours alone, set insecure. Restart the worker, then retry.',
    });
  }
  return new TransientError({
    what,
    found: printable(error.message).slice(0, 200),
    needed: `an answer from ${power.url}`,
    remedy: 'Look at the management network and at the controller itself; it is tried again.',
  });
}

function refused({ machine, power }: RedfishSettings, request: string, answer: Answer): MusterError {
  const found = `HTTP ${answer.status}${messageOf(answer)} to ${request}`;
  if (answer.status === 401 || answer.status === 403) {
    return new OperatorError({
      what: `the controller of ${machine} refuses the user ${power.user}`,
      found,
      needed: 'a user with the right to operate power',
      remedy: `Correct the user, or the password in ${describeSecretRef(power.password)}; then retry.`,
    });
  }
  const what = `the controller of ${machine} does not do what it is asked`;
  if (answer.status >= 500 || answer.status === 429) return new TransientError({ what, found });
  return new PermanentError({
    what,
    found,
    needed: 'a Redfish service that takes this request',
    remedy: `Do it at ${power.url} by hand and skip the step; or let a person switch this machine (power: person).`,
  });
}

async function unknownSystem(settings: RedfishSettings, options: CallOptions): Promise<MusterError> {
  const path = '/redfish/v1/Systems';
  const members = await call(settings, 'GET', path, undefined, options)
    .then((answer) => parse(settings, path, answer)['Members'])
    .catch(() => undefined);
  const ids = (Array.isArray(members) ? members : []).map((one) => String(asJson(one)['@odata.id']).split('/').at(-1));
  return new OperatorError({
    what: `the controller of ${settings.machine} has no system ${settings.power.systemId}`,
    found: printable(ids.join(', ')).slice(0, 300) || 'no system at all',
    needed: 'the id of this machine',
    remedy: 'Correct systemId in the configuration and restart the worker, then retry.',
  });
}

function parse({ machine, power }: RedfishSettings, path: string, answer: Answer): Json {
  try {
    return asJson(JSON.parse(answer.text));
  } catch (cause) {
    throw new OperatorError(
      {
        what: `the controller of ${machine} does not speak Redfish`,
        found: `${JSON.stringify(printable(answer.text.slice(0, 80)))} at ${path}`,
        needed: 'JSON',
        remedy: `Correct the URL ${power.url} in the configuration and restart the worker, then retry.`,
      },
      { cause },
    );
  }
}

/** What the service says of it, in its extended information (DSP0266, 8.6). */
function messageOf({ text }: Answer): string {
  try {
    const error = asJson(asJson(JSON.parse(text))['error']);
    const extended = error['@Message.ExtendedInfo'];
    const first = asJson(Array.isArray(extended) ? extended[0] : undefined)['Message'];
    const message = typeof first === 'string' ? first : error['message'];
    return typeof message === 'string' ? ` (${printable(message).slice(0, 200)})` : '';
  } catch {
    return '';
  }
}

const asJson = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
