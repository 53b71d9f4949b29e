/** What a guest would say that is out for the terminal, the page, the scraper or the spreadsheet of whoever reads it. */
import type { Platform } from '../../../platforms/contract';
import { changeMachine } from '../../../platforms/simulated/machines';
import { openSimulatedSite, type SimulatedSite } from '../../../platforms/simulated/open';
import { siteAt } from '../../../platforms/simulated/site';
import { OperatorError, TransientError } from '../../../model/errors';
import { siteId, type SiteChanges } from '../../api/stack';

/** By what they are out for. Each has `evil` in it, so that it is found again where it arrived. */
export const hostileStrings = {
  link: 'evil\u001b]8;;http://127.0.0.1:1/\u0007link\u001b]8;;\u0007',
  clipboard: 'evil\u001b]52;c;ZXZpbA==\u0007',
  screen: 'evil\u001b[2J\u001b[31m\u001b]0;title\u001b\\',
  'eight bits': 'evil\u009b2J\u009d0;title\u009c\u0090q\u009c\u008d',
  page: 'evil<script>window.evil=1</script><img class=evil src=x onerror="window.evil=1"></style></title></textarea>',
  attribute: `evil" onmouseover="window.evil=1' style='display:none`,
  template: 'evil{{constructor.constructor("return 1")()}}${1}',
  'text direction': 'evil\u202egnp.exe\u202c\u2066x\u2069\u200f\u061c',
  scraper: 'evil"} 1\n# HELP evil_total x\nevil_total{a="b\\',
  spreadsheet: `=cmd|'/C evil'!A0`,
  lines: 'evil\r\nSet-Cookie: evil=1\r\n\r\n\u2028data: evil\u2029',
  'no text': 'evil\u0000\ud800',
} as const;

/** All of them, short enough for a line of a report. */
export const evil = Object.values(hostileStrings).join(' ');
/** The same where it is kept as UTF-8, which has no half characters: messages of failures, rows of the journal. */
export const evilAsKept = evil.replaceAll('\ud800', '\ufffd');
/** The same before 100 KB without a blank. */
export const longEvil = `${evil} ${'evil'.repeat(25_600)}`;

/** What moves a cursor, changes a title, turns text round or is half a character; empty: nothing of it. */
export function unsafeIn(text: string): string[] {
  const bad = text.match(/[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu) ?? [];
  return [...new Set(bad.filter((character) => character !== '\n'))].map((character) => JSON.stringify(character));
}

export interface HostileGuest {
  /** For the recovery site of a test stack; `folder` is the stack's, as soon as it is known. */
  readonly site: SiteChanges;
  folder: string;
  /** Whether the agent fails, or answers. */
  agent: 'fails' | 'answers';
}

/** The program that the guest's agent answers for as it likes. */
export const hostileProgram = '/opt/evil';

/** A simulated site whose guests' agent, console and replication say what is above. */
export function hostileGuest(): HostileGuest {
  let opened: SimulatedSite | undefined;
  const real = (): SimulatedSite => (opened ??= openSimulatedSite({ folder: `${guest.folder}/site`, id: siteId }));
  const platform: Partial<Platform> = {
    runInGuest: (name, command, options) => {
      if (command.path !== hostileProgram) return real().platform.runInGuest(name, command, options);
      if (guest.agent === 'answers')
        return Promise.resolve({ exitCode: 0, stdout: longEvil, stderr: evil, truncated: true });
      return Promise.reject(new OperatorError({ what: evil, found: evil, remedy: evil, detail: longEvil }));
    },
    look: async (name, options) => ({ ...(await real().platform.look(name, options)), consoleText: longEvil }),
  };
  const replicas: Partial<SimulatedSite['replicas']> = {
    cycle: (server, options) => {
      if (!server.name.startsWith('sick')) return real().replicas.cycle(server, options);
      return Promise.reject(new TransientError({ what: evil, found: evil, detail: longEvil }));
    },
  };
  const instead = <T extends object>(of: () => T, parts: Partial<T>): T =>
    new Proxy({} as T, { get: (_target, key) => Reflect.get(key in parts ? parts : of(), key) as unknown });
  const guest: HostileGuest = {
    folder: '',
    agent: 'fails',
    site: {
      platform: instead(() => real().platform, platform),
      replicas: instead(() => real().replicas, replicas),
    },
  };
  return guest;
}

/** What the machine is found to run, and on which network its card is. */
export async function disguise(folder: string, name: string, network: string): Promise<void> {
  const site = siteAt({ folder: `${folder}/site`, id: siteId });
  const os = { distribution: evil, version: evil, prettyName: longEvil, kernelRelease: evil };
  await changeMachine(site, name, 'disguise', (machine) => ({
    next: {
      ...machine!,
      os: { family: 'linux', ...os },
      nics: machine!.nics.map((nic) => ({ ...nic, network })),
    },
    takesMs: 0,
  }));
}
