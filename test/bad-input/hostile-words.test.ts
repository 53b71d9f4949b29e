/**
 * Words of guests and people as an attacker would choose them, in everything that shows them: the terminal, the watch,
 * JSON for programs, the hypervisor's XML, names of evidence. The HTML report has its own tests (test/templates).
 */
import pico from 'picocolors';
import { createOutput, jsonText, paragraph, table, type Output } from '../../cli/output';
import { showRun } from '../../cli/show-run';
import { EventLines } from '../../cli/watch/event-lines';
import { readEvents } from '../../cli/watch/events';
import { machineNameFrom } from '../../model/names';
import { runView } from '../../model/run-view';
import { hardwareProfiles } from '../../model/server';
import { domainXml } from '../../platforms/libvirt/domain-xml';
import { evidenceName } from '../../record/evidence-names';
import { sh } from '../replication/support/tools';
import { storyDeclaration } from '../support/declaration';
import { storyRunId } from '../support/order';
import { hostileStory } from '../support/stories';

const words = [
  'a b',
  `a'b"c`,
  'a\nb',
  '../../etc/passwd',
  'a\u0000b',
  'x'.repeat(300),
  'app😀',
  'app\u202egnp',
  'app\ud800',
  '-rf',
  '%s%n',
  '<img src=x onerror=alert(1)>',
  'app\u001b[2J\u001b]0;title\u0007',
  '\u009b2J',
];

/** Nothing that moves a cursor, changes a title, turns text round, or is half a character. */
function expectSafe(text: string): void {
  const bad = [...text].filter((character) => /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u.test(character));
  expect(bad.filter((character) => character !== '\n')).toEqual([]);
}

function collecting(): { out: Output; lines: string[] } {
  const lines: string[] = [];
  const out = { ...createOutput(false, process.stdout, {}), colors: pico.createColors(false), width: 80 };
  return { out: { ...out, line: (text = '') => void lines.push(text) }, lines };
}

test('a hostile run is shown on the terminal and in the watch without a control character', () => {
  const { events } = hostileStory();
  const { out, lines } = collecting();
  const view = runView(events, storyDeclaration, events.at(-1)!.at);
  showRun(out, {
    runId: storyRunId,
    serverName: 'x',
    source: 'live',
    notice: null,
    view,
    timeLeft: null,
    progress: [],
    acts: [],
  } as never);
  const watch = new EventLines(out, storyRunId);
  expectSafe([...lines, ...events.flatMap((event) => watch.of(event))].join('\n'));
  expect(lines.join('\n')).toContain('onerror=alert(1)');
});

test.each(words.map((word) => [JSON.stringify(word).slice(0, 40), word]))(
  '%s is safe in tables, JSON and names',
  (_shown, word) => {
    expectSafe(
      table(
        { width: 60 },
        [
          { title: 'server', width: 12, grows: true },
          { title: 'x', width: 4 },
        ],
        [[word, 'y']],
      ),
    );
    expectSafe(paragraph({ width: 60 }, 'label', word));
    expectSafe(jsonText({ word }));
    expect(JSON.parse(jsonText({ word }))).toEqual({ word });
    const name = machineNameFrom('{server}-rehearsal-{run}', {
      serverName: word,
      mode: 'rehearsal',
      siteId: 'dr',
      runId: storyRunId,
    });
    expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$/);
    expect(evidenceName(word)).not.toMatch(/[/\\<>"']|^\.|\p{Cc}/u);
  },
);

test('no length of a word is too much for a paragraph, and a table shows its beginning', () => {
  const long = 'x'.repeat(1_000_000);
  const columns = [{ title: 'a', width: 4, grows: true }];
  expect(paragraph({ width: 20 }, '', long, 0).replaceAll('\n', '')).toBe(long);
  expect(table({ width: 4 }, columns, [[long]]).replace(/\s/g, '')).toBe(`a${'x'.repeat(500)}…`);
});

test('an event of the stream is read whole, whatever JSON leaves in it as it is', async () => {
  const data = JSON.stringify({ cause: 'a\u2028b\u2029c\u0085d\r\ne:f' });
  const event = async function* () {
    yield Buffer.from(`id: 7\nevent: event\ndata: ${data}\n\n`);
  };
  const read = [];
  for await (const one of readEvents(event())) read.push(one);
  expect(read).toEqual([{ id: '7', event: 'event', data }]);
});

test('a network’s name is text in the hypervisor’s XML, read back by another parser', async () => {
  const network = `lan' model='x"/><!-- & </interface>`;
  const xml = domainXml(
    {
      name: 'app01',
      uuid: '0f8fad5b-d9cb-869f-a165-70867728950e',
      owner: { tenantId: 'default', runId: storyRunId },
      cpuCount: 1,
      memoryBytes: 512 * 1024 ** 2,
      firmware: 'bios',
      hardware: hardwareProfiles['kvm-virtio']!,
      nics: [{ index: 0, macAddress: '52:54:00:12:34:56', network }],
    },
    { acceleration: 'tcg', consoleFile: '/x', networks: { [network]: { kind: 'network', name: network } } },
  );
  const read =
    'import sys,xml.etree.ElementTree as t;e=t.fromstring(sys.argv[1]);print(len(e.findall(".//interface")),e.find(".//interface/source").get("network"))';
  expect(await sh('python3', '-c', read, xml)).toBe(`1 ${network}`);
});
