/** Who was told of a run, what and when, as the outbox has it: a run's own chain is the workflow's alone, and mails are not its work. */
import type { Occasion } from './runbook/runbook';

/** One notice for one recipient. */
export interface Told {
  readonly occasion: Occasion;
  /** Of a parking; 0: of the run as a whole. */
  readonly epoch: number;
  /** 0: it happened. From 1: reminders. */
  readonly stage: number;
  readonly channel: 'mail' | 'webhook';
  readonly to: string;
  /** settled: it was decided, or somebody had taken it, before it was told. */
  readonly state: 'due' | 'sent' | 'failed' | 'settled';
  readonly madeAt: string;
  /** When it was sent, given up or settled; null: it is still to be sent. */
  readonly endedAt: string | null;
  /** Why the last try failed. */
  readonly error: string | null;
}

export interface ToldView extends Told {
  /** The step that waited, with its item; null: the run as a whole. */
  readonly about: string | null;
}

interface Waited {
  readonly epoch: number;
  readonly step: string;
  readonly item: string | null;
}

/** `told`, oldest first, with what each was about; null where the store could not be asked. */
export function toldViews(told: readonly Told[] | null, parkings: readonly Waited[]): readonly ToldView[] | null {
  const byEpoch = new Map(parkings.map(({ epoch, step, item }) => [epoch, item === null ? step : `${step} ${item}`]));
  return (
    told &&
    told.map(({ occasion, epoch, stage, channel, to, state, madeAt, endedAt, error }) => ({
      ...{ occasion, epoch, stage, channel, to, state, madeAt, endedAt, error },
      about: byEpoch.get(epoch) ?? null,
    }))
  );
}
