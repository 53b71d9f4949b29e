/** Completion in real shells: each reads its script and is asked what it would offer. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { completionScript, shells, type Shell } from '../../cli/completion/scripts';
import { placesOf } from '../../cli/completion/tree';
import { createProgram } from '../../cli/program';
import { hardwareProfiles } from '../../model/server';
import { runStates } from '../../model/steps';
import { muster } from './muster';

const places = placesOf(createProgram());
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-completion-'));
  for (const shell of shells) writeFileSync(join(folder, shell), completionScript(shell, places));
  // Stands for the program where a script asks it for names: what the real one says is another test's.
  const names = String.raw`printf 'app01\trecovers to dr\napp02\trecovers to dr\n'`;
  const ids = String.raw`printf 'last\tthe newest run\n0195923c-70b4-7c31-9a55-3f2e8d10c7aa\tapp01 stuck\n'`;
  const script = `#!/bin/sh\ncase "$1 $2" in "__complete servers") ${names};; "__complete runs") ${ids};; esac\n`;
  writeFileSync(join(folder, 'muster'), script, { mode: 0o755 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the shell offers for the last word, which may be empty. */
function offered(shell: Shell, ...words: string[]): string[] {
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}`, HOME: folder, LC_ALL: 'C.UTF-8' };
  const run = (args: string[]): string[] => {
    const text = execFileSync(shell, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return text.split('\n').filter((line) => line !== '');
  };
  const line = ['muster', ...words];
  switch (shell) {
    case 'bash':
      return run([
        '--norc',
        '-c',
        `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _muster; printf '%s\\n' "\${COMPREPLY[@]}"`,
        join(folder, 'bash'),
        ...line,
      ]);
    case 'zsh': {
      // The line editor's own compadd works in the line editor only; this one prints what it would be given and fits.
      const compadd = 'compadd() { shift; local w; for w; do [[ $w == ${words[CURRENT]}* ]] && print -r -- $w; done }';
      const start = 'compdef() { :; }; _files() { print -r -- "(files)"; }';
      return run([
        '-f',
        '-c',
        `${start}; ${compadd}; source $1; words=("\${@:2}"); CURRENT=$#words; _muster; true`,
        'zsh',
        join(folder, 'zsh'),
        ...line,
      ]);
    }
    case 'fish':
      return run([
        '--no-config',
        '-c',
        'source $argv[1]; complete -C $argv[2]',
        join(folder, 'fish'),
        line.join(' '),
      ]).map((each) => each.split('\t')[0]!);
  }
}

describe.each(shells)('%s', (shell) => {
  test('offers commands, and those of a command', () => {
    expect(offered(shell, '')).toEqual(expect.arrayContaining(['up', 'doctor', 'recover', 'servers', 'completion']));
    expect(offered(shell, '')).not.toContain('__complete');
    expect(offered(shell, 'rep').sort()).toEqual(['replicas', 'report']);
    expect(offered(shell, '--json', 'servers', '').sort()).toEqual(['add', 'remove', 'show']);
  });

  test('offers flags, and what a flag can be', () => {
    expect(offered(shell, 'recover', 'app01', '--ha')).toEqual(['--hardware']);
    expect(offered(shell, 'recover', 'app01', '--hardware', '').sort()).toEqual(Object.keys(hardwareProfiles).sort());
    expect(offered(shell, 'runs', '--state', '').sort()).toEqual([...runStates].sort());
    expect(offered(shell, 'runs', '--state', 'stuck', '--u')).toEqual(['--url']);
    expect(offered(shell, 'completion', '').sort()).toEqual([...shells].sort());
  });

  test('offers names of servers and ids of runs as the API has them, and nothing where only the person knows', () => {
    expect(offered(shell, 'recover', 'app')).toEqual(['app01', 'app02']);
    expect(offered(shell, 'runs', '--server', '')).toEqual(['app01', 'app02']);
    expect(offered(shell, 'retry', '--reason', 'x', '0195')).toEqual(['0195923c-70b4-7c31-9a55-3f2e8d10c7aa']);
    expect(offered(shell, 'servers', 'add', '')).toEqual([]);
    expect(offered(shell, 'recover', 'app01', '--reason', '')).toEqual([]);
  });
});

test('every argument that is a run or a known server is asked from the API', () => {
  const what = Object.fromEntries(places.map(({ path, arguments: [first] }) => [path, first]));
  for (const path of ['show', 'watch', 'report', 'retry', 'skip', 'abort'].map((name) => `muster ${name}`)) {
    expect([path, what[path]]).toEqual([path, { kind: 'asked', what: 'runs' }]);
  }
  for (const path of ['recover', 'protect', 'replicas', 'servers show', 'servers remove'].map(
    (name) => `muster ${name}`,
  )) {
    expect([path, what[path]]).toEqual([path, { kind: 'asked', what: 'servers' }]);
  }
  expect(what['muster servers add']).toEqual({ kind: 'free' });
});

test('the program prints the script, and says nothing when the API is not there', async () => {
  const printed = await muster(['completion', 'fish']);
  expect(printed).toMatchObject({ exitCode: 0, stdout: completionScript('fish', places).trimEnd() });
  const away = await muster(['__complete', 'runs'], { MUSTER_URL: 'http://127.0.0.1:1', MUSTER_TOKEN: 'x' });
  expect(away).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  const unset = await muster(['__complete', 'servers']);
  expect(unset).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});
