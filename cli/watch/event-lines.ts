/** What happened, as lines for people. Nothing here decides anything; `muster show` has the details. */
import { formatDuration, formatSize, millisecondsBetween } from '../../model/durations';
import type { RunEvent } from '../../model/events';
import { shortId } from '../../model/ids';
import { paragraph, type Output } from '../output';
import { waitingLines } from '../show-run';
import { peopleLine } from './people-lines';

/** Remembers when steps began, so that their end can say how long they took. */
export class EventLines {
  private readonly began = new Map<string, string>();

  constructor(
    private readonly out: Pick<Output, 'width'>,
    private readonly runId: string,
  ) {}

  /** No line for what a watcher need not see. */
  of(event: RunEvent): string[] {
    const place = event.item === null ? (event.step ?? '') : `${event.step}/${event.item}`;
    const say = (text: string): string[] => [paragraph(this.out, clockOf(event.at), text, 10)];
    switch (event.kind) {
      case 'run-opened':
      case 'plan-opened':
        return say(openingLine(event));
      case 'step-announced':
        this.began.set(event.step ?? '', event.at);
        return say(`▸ ${event.step}: ${event.data.title}`);
      case 'attempt-started':
        return event.data.undo && event.attempt === 1 ? say(`↶ undoing ${place}`) : [];
      case 'attempt-failed': {
        const { failure, nextDelayMs, undo } = event.data;
        const next = nextDelayMs === null ? '' : ` Next attempt in ${formatDuration(nextDelayMs)}.`;
        return say(`✗ ${undo ? 'undo of ' : ''}${place}, attempt ${event.attempt ?? 1}: ${failure.message}${next}`);
      }
      case 'attempt-succeeded':
        return event.item === null || event.data.undo ? [] : say(`  ${place} done`);
      case 'step-done':
        return say(`✓ ${event.step}${this.tookSince(event.step, event.at)}`);
      case 'step-not-applicable':
        return say(`– ${event.step}: ${event.data.because}`);
      case 'step-skipped':
        return say(`! ${place} SKIPPED: ${event.data.reason}`);
      case 'step-undone':
        return say(`↶ ${place} undone`);
      case 'parked':
        return this.waiting(event, 'stuck', event.data.failure.message, event.data.remedy, event.data.undo);
      case 'gate-opened':
        return this.waiting(event, 'gate', event.data.because, event.data.question, false);
      case 'reminded':
        return say(`⏳ ${place} has waited for ${formatDuration(event.data.waitingMs)}`);
      case 'gave-up':
        return say(`${place} waited for people for ${formatDuration(event.data.afterMs)}: given up, and undone`);
      case 'approved':
      case 'approval-withdrawn':
      case 'escalated':
      case 'claimed':
      case 'released':
      case 'held':
      case 'let-go-on':
      case 'told':
      case 'child-waits':
      case 'child-goes-on':
        return say(peopleLine(event, place));
      case 'decided':
        return say(
          `${event.by.actor.name} decided ${event.data.decision}${place === '' ? '' : ` at ${place}`}: ${event.data.reason}`,
        );
      case 'decision-refused':
        return say(`refused: ${event.data.decision}: ${event.data.because}`);
      case 'release-decided':
        return say(`${event.by.actor.name} released ${event.data.machine}: ${event.data.reason}`);
      case 'protection-reversed':
        return say(`${event.by.actor.name} protected ${event.data.server} the other way: ${event.data.reason}`);
      case 'rewound':
        return say(`↶ back to ${event.data.to}`);
      case 'evidence': {
        const { name, sizeBytes } = event.data.evidence;
        return say(`  evidence: ${event.data.what} (${name}, ${formatSize(sizeBytes)})`);
      }
      case 'noted':
        return say(`  ${event.data.message}`);
      case 'measured':
        return [];
      case 'undo-started':
        return say(`↶ undoing everything, last first: ${event.data.because}`);
      case 'run-closed':
        return say(`■ ${event.data.state.replaceAll('-', ' ')}: ${event.data.summary}`);
    }
  }

  private tookSince(step: string | null, at: string): string {
    const from = this.began.get(step ?? '');
    return from === undefined ? '' : ` (${formatDuration(millisecondsBetween(from, at))})`;
  }

  private waiting(
    event: Extract<RunEvent, { kind: 'parked' | 'gate-opened' }>,
    kind: 'stuck' | 'gate',
    cause: string,
    remedy: string,
    undo: boolean,
  ): string[] {
    const { epoch, allowed } = event.data;
    const place = { epoch, step: event.step ?? '', item: event.item, kind, undo, since: event.at, until: null };
    const waiting = { ...place, waitingMs: 0, cause, remedy, allowed, reminders: 0 };
    const lines = waitingLines(this.out, waiting, shortId(this.runId));
    return ['', ...lines, ''];
  }
}

function openingLine(event: Extract<RunEvent, { kind: 'run-opened' | 'plan-opened' }>): string {
  const { mode, requestedBy, reason } = event.data.order;
  const asked = `by ${requestedBy.actor.name}: ${reason}`;
  if (event.kind === 'run-opened') {
    const { server, target } = event.data.order;
    return `${mode} of ${server.name} as ${target.machineName}, ${asked}`;
  }
  const { runbook, servers } = event.data.order;
  return `${mode} by runbook ${runbook.title}, version ${runbook.version}, ${servers.length} servers, ${asked}`;
}

/** `02:11:07` of an RFC 3339 time. */
function clockOf(at: string): string {
  return /T(\d\d:\d\d:\d\d)/.exec(at)?.[1] ?? '';
}
