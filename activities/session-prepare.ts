/**
 * Keeps a server's inoculations worked out ahead, beside the cycles of its session: after its first point, when the source
 * shows that what they depend on has changed, and now and then for sources that cannot be asked. It never makes a cycle
 * wait for longer than its start (overlays on the newest point), works at low priority, one server at a time in a worker,
 * and ends as soon as a run holds the replica. Nothing depends on it: an inoculation looks itself whether what was
 * prepared still fits.
 */
import type { KeptPreparation, PrepareResult } from '../disks/contract';
import { isMusterError } from '../model/errors';
import { hardwareProfiles, type HardwareProfile, type ServerSpec } from '../model/server';
import type { PreparationGround, PreparedEntry } from '../replication/prepared-contract';
import { elapsedMs } from './common';
import type { ActivityDeps, RecoverySite } from './site';
import { recoverySite } from './site';
import { changedAtSource, lookAtSource } from './source-watch';

/** How often the source is asked: one program in the guest. */
const lookEveryMs = 60_000;
/** How often what is kept is compared with a point in an appliance: where the source answers, and where it does not. */
const checkEveryMs = { answering: 6 * 3600_000, silent: 3600_000 };
const retryAfterMs = 15 * 60_000;

/** Shared by the sessions of a worker: who works. */
export interface PreparingSlot {
  taken: boolean;
}

export interface PreparerSettings {
  readonly deps: ActivityDeps;
  readonly server: ServerSpec;
  readonly slot: PreparingSlot;
  /** Runs the work alone on the replica, or not at all when that cannot be had soon. */
  readonly onReplica: <T>(work: () => Promise<T>) => Promise<T>;
  /** For the log: what went wrong and is tried again later. */
  readonly onProblem: (error: unknown) => void;
  /** Milliseconds for durations; default: elapsedMs. */
  readonly elapsed?: () => number;
}

export class Preparer {
  private readonly site: RecoverySite;
  private readonly wanted: readonly HardwareProfile[];
  private readonly ended = new AbortController();
  private readonly elapsed: () => number;
  private work: Promise<void> | null = null;
  /** This and the following ones by `elapsed`. */
  private lookedAt = -Infinity;
  private answering = false;
  /** What the source showed last, and since when it has shown just that. */
  private shown: { readonly text: string; readonly since: number } | null = null;
  private retryAt = -Infinity;

  constructor(private readonly settings: PreparerSettings) {
    this.site = recoverySite(settings.deps.sites, settings.server.recoverySiteId);
    this.wanted = wantedHardware(this.site, settings.server);
    this.elapsed = settings.elapsed ?? elapsedMs;
  }

  /** Before the first cycle: what a preparation that lost its worker left is cleared. */
  async begin(): Promise<void> {
    await this.site.preparations.clear(this.settings.server.id).catch((error: unknown) => this.failed(error));
  }

  /** After a cycle that began at that time (by `elapsed`): starts what is due and waits for none of it. Never throws. */
  async consider(cycleStartedAt: number): Promise<void> {
    if (this.work !== null || this.settings.slot.taken || this.wanted.length === 0) return;
    if (this.ended.signal.aborted) return;
    try {
      await this.startWhatIsDue(cycleStartedAt);
    } catch (error) {
      this.failed(error);
    }
  }

  private async startWhatIsDue(cycleStartedAt: number): Promise<void> {
    const { server } = this.settings;
    const entries = await this.site.preparations.entries(server.id);
    if (this.elapsed() >= this.retryAt && this.isDue(entries, cycleStartedAt)) {
      await this.startPreparing(entries);
    } else if (this.elapsed() - this.lookedAt >= lookEveryMs) {
      this.lookedAt = this.elapsed();
      this.start(() => this.look(entries));
    }
  }

  private async startPreparing(entries: readonly PreparedEntry[]): Promise<void> {
    const { slot } = this.settings;
    const free = () => (slot.taken = false);
    slot.taken = true;
    try {
      const ground = await this.ground();
      if (ground === null) free();
      else this.start(() => this.prepareOn(ground, entries).finally(free));
    } catch (error) {
      free();
      throw error;
    }
  }

  /** What is under way, to its end. */
  async settled(): Promise<void> {
    await this.work;
  }

  /** Ends what is under way, and waits until nothing of it is left. */
  async end(): Promise<void> {
    this.ended.abort(new Error('the session has ended its cycles'));
    await this.settled();
  }

  private start(work: () => Promise<void>): void {
    this.work = work()
      .catch((error: unknown) => this.failed(error))
      .finally(() => (this.work = null));
  }

  private failed(error: unknown): void {
    if (this.ended.signal.aborted) return;
    this.retryAt = this.elapsed() + retryAfterMs;
    this.settings.onProblem(error);
  }

  private isDue(entries: readonly PreparedEntry[], cycleStartedAt: number): boolean {
    const mine = this.wanted.map(({ id }) => entries.find(({ hardwareId }) => hardwareId === id));
    if (mine.includes(undefined)) return true;
    const everyMs = this.answering ? checkEveryMs.answering : checkEveryMs.silent;
    // The one duration that outlives a process, so by the clock; a time yet to come says that the clock was set back.
    const ageMs = this.settings.deps.now() - Math.min(...mine.map((entry) => Date.parse(entry!.checkedAt)));
    if (ageMs >= everyMs || ageMs < -lookEveryMs) return true;
    // A change in the middle of an update is not worth a preparation: it has to have settled, and the point to hold it.
    const settled = this.shown !== null && this.lookedAt > this.shown.since && cycleStartedAt > this.shown.since;
    return settled && mine.some((entry) => entry!.state === 'outdated');
  }

  private async ground(): Promise<PreparationGround | null> {
    const { server, onReplica } = this.settings;
    try {
      return await onReplica(() => this.site.preparations.begin(server, { signal: this.ended.signal }));
    } catch (error) {
      if (!isMusterError(error)) throw error;
      return null;
    }
  }

  private async prepareOn(ground: PreparationGround, entries: readonly PreparedEntry[]): Promise<void> {
    const { deps, server } = this.settings;
    try {
      const results = await this.results(ground, entries);
      this.ended.signal.throwIfAborted();
      await this.site.preparations.keep(server.id, ground, results);
      deps.observer?.inoculationPrepared(server, results);
      this.shown = null;
    } finally {
      await this.site.preparations.end(server.id, ground.id);
    }
  }

  private async results(ground: PreparationGround, entries: readonly PreparedEntry[]): Promise<PrepareResult[]> {
    const { deps, server } = this.settings;
    const kept = entries.flatMap(({ preparation, at }): KeptPreparation[] =>
      preparation === null || at === null ? [] : [{ ...preparation, preparedAt: at }],
    );
    try {
      const unlockKeys = await Promise.all((server.unlockKeys ?? []).map((ref) => deps.secrets(ref)));
      const options = { folder: ground.folder, kept, nics: server.nics, unlockKeys, signal: this.ended.signal };
      return await this.site.disks.prepareInoculation(ground.disks, this.wanted, options);
    } catch (error) {
      this.ended.signal.throwIfAborted();
      // What may pass is tried again soon, and leaves what was kept as it is.
      if (!isMusterError(error) || (error.family === 'TransientError' && kept.length > 0)) throw error;
      return this.wanted.map(({ id: hardwareId }) => ({ hardwareId, because: error.message.split('\n')[0]! }));
    }
  }

  /** Asks the source about everything that what is kept depends on. */
  private async look(entries: readonly PreparedEntry[]): Promise<void> {
    const { deps, server } = this.settings;
    const watched = entries.filter(({ preparation }) => (preparation?.watch.length ?? 0) > 0);
    const paths = [...new Set(watched.flatMap(({ preparation }) => preparation!.watch.map(({ path }) => path)))].sort();
    const found = paths.length === 0 ? null : await lookAtSource(deps, server, paths, this.ended.signal);
    this.answering = found !== null;
    if (found === null) return;
    const text = JSON.stringify([...found]);
    if (this.shown?.text !== text) this.shown = { text, since: this.elapsed() };
    for (const { hardwareId, preparation } of watched) {
      const path = changedAtSource(preparation!.watch, found);
      if (path === null) continue;
      await this.site.preparations.markOutdated(server.id, [hardwareId], `${path} has changed at the source`);
    }
  }
}

/** Of the profiles that are asked for those that an inoculator of Muster's own fits. */
function wantedHardware(site: RecoverySite, server: ServerSpec): HardwareProfile[] {
  const ids = server.prepareFor ?? site.platform.capabilities.hardware;
  return ids.flatMap((id) => {
    const hardware = hardwareProfiles[id];
    if (hardware === undefined || server.os.family === 'windows') return [];
    const choice = site.disks.chooseInoculator(server.os, hardware);
    return 'inoculator' in choice && choice.inoculator !== 'virt-v2v-in-place' ? [hardware] : [];
  });
}
