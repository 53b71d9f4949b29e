/** A runbook's file with everything filled in that it leaves out: what the rest of the product reads. */
import type { FailureRule, Gate, People, PlannedServer, Readdressing, Runbook, Script } from '../runbook/runbook';
import type { RunbookFile } from './runbook';

type WaveFile = RunbookFile['waves'][number];
type ServerFile = WaveFile['servers'][number];

export function runbookOf(file: RunbookFile): Runbook {
  const { objectives, limits, access, rehearsal, commit } = file;
  return {
    format: 1,
    name: file.name,
    title: file.title,
    summary: file.summary,
    direction: file.direction,
    tier: file.tier,
    evacuates: file.evacuates ?? null,
    objectives: {
      ...both(objectives),
      tiers: Object.fromEntries(Object.entries(objectives.tiers).map(([tier, one]) => [tier, both(one)])),
    },
    waves: file.waves.map(({ name, title = name, after, gate = null }) => ({ name, title, after, gate })),
    servers: file.waves.flatMap((wave) => wave.servers.map((server) => serverOf(file, wave, server))),
    includes: file.includes,
    networks: file.networks,
    limits: { ...limits, atOnce: limits.atOnce ?? null },
    gates: Object.fromEntries(Object.entries(file.gates).map(([name, gate]) => [name, gateOf(gate)])),
    scripts: file.scripts.map(scriptOf),
    notify: file.notify,
    access: {
      start: access.start ?? startersByDefault,
      decide: access.decide ?? decidersByDefault,
      fourEyes: access.fourEyes,
    },
    rehearsal: {
      schedule: scheduleOf(rehearsal.schedule),
      tryOut: rehearsal.tryOut ?? null,
      giveUpAfterMs: rehearsal.giveUpAfter,
      verifiedForMs: rehearsal.verifiedFor,
    },
    commit:
      commit === 'decision' ? { kind: 'decision' } : { kind: 'automatic', act: commit.act, afterMs: commit.after },
  };
}

const startersByDefault: People = { roles: ['operator', 'coordinator', 'admin'], people: [] };
const decidersByDefault: People = startersByDefault;
const nobody: People = { roles: [], people: [] };

const both = ({ rpo, rto }: { rpo?: number | undefined; rto?: number | undefined }) => ({
  rpoMs: rpo ?? null,
  rtoMs: rto ?? null,
});

function serverOf({ defaults, networks }: RunbookFile, wave: WaveFile, server: ServerFile): PlannedServer {
  const own = { ...defaults, ...server };
  const maps = [networks, defaults.networks, server.networks];
  const merged = (mode: 'recovery' | 'rehearsal') => Object.assign({}, ...maps.map((map) => map?.[mode]));
  return {
    name: server.name,
    wave: wave.name,
    after: server.after,
    option: own.option ?? 'backup-and-recover',
    target: {
      siteId: own.site ?? null,
      hardware: own.hardware ?? null,
      machineName: server.machineName ?? null,
      cpuCount: server.cpus ?? null,
      memoryBytes: server.memory ?? null,
      datastore: own.datastore ?? null,
    },
    networks: { recovery: merged('recovery'), rehearsal: merged('rehearsal') },
    addresses: server.addresses.map(readdressingOf),
    powerOn: own.powerOn ?? 'automatic',
    inoculate: own.inoculate ?? true,
    proof: proofOf({ ...defaults.proof, ...server.proof }),
    probes: server.verify.map(({ timeout, expectOutput, ...probe }) => ({
      ...probe,
      ...(expectOutput === undefined ? {} : { expectOutput }),
      timeoutMs: timeout,
    })),
    objectives: server.objectives ? { rpoMs: server.objectives.rpo, rtoMs: server.objectives.rto } : null,
    failure: failureOf(own.failure),
  };
}

function proofOf({ within, stableFor }: NonNullable<ServerFile['proof']>): PlannedServer['proof'] {
  return {
    ...(within === undefined ? {} : { heartbeatTimeoutMs: within }),
    ...(stableFor === undefined ? {} : { stableForMs: stableFor }),
  };
}

function failureOf(written: ServerFile['failure']): FailureRule {
  if (written === undefined || written === 'critical') return { kind: 'critical' };
  return { kind: 'optional', giveUpAfterMs: written.giveUpAfter };
}

function readdressingOf({ nic, recovery, rehearsal }: ServerFile['addresses'][number]): Readdressing {
  const settings = (one: typeof recovery) => one && { ...one, gateway: one.gateway ?? null };
  const address = { recovery: settings(recovery), rehearsal: settings(rehearsal) };
  return { nic, address: Object.fromEntries(Object.entries(address).filter(([, one]) => one !== undefined)) };
}

function gateOf({ within, escalateTo, ...gate }: RunbookFile['gates'][string]): Gate {
  return { ...gate, withinMs: within ?? null, escalateTo: escalateTo ?? nobody };
}

function scriptOf({ step, wave, on, program, args, timeout, ...script }: RunbookFile['scripts'][number]): Script {
  const at = wave === undefined ? { kind: 'step' as const, step: step ?? '' } : { kind: 'wave' as const, wave };
  return { ...script, at, run: { on, program, args }, timeoutMs: timeout };
}

function scheduleOf(written: RunbookFile['rehearsal']['schedule']): Runbook['rehearsal']['schedule'] {
  if (written === undefined) return null;
  const { catchUp, ...schedule } = written;
  return { ...schedule, catchUpMs: catchUp };
}
