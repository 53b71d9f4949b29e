import { Argument, type Command } from 'commander';
import type { RunbooksDocument } from '../../api/schemas/runbooks';
import type { ServerDocument } from '../../api/schemas/servers';
import { createClient, type Client } from '../client';
import { asked, placesOf, type Asked } from '../completion/tree';
import { completionScript, shells, type Shell } from '../completion/scripts';
import { findConnection } from '../connection';
import type { RunsDocument } from '../documents';
import type { GlobalOptions } from '../context';

/** A person waits for this with a finger on a key. */
const answerWithinMs = 1_500;
const runsOffered = 50;

const help = `
  bash   muster completion bash > /etc/bash_completion.d/muster
  zsh    muster completion zsh > "\${fpath[1]}/_muster"
  fish   muster completion fish > ~/.config/fish/completions/muster.fish

Names of servers and ids of runs are asked from the API while you type; when it
does not answer at once, nothing is offered. Make the script again after an
upgrade.`;

export function completionCommands(program: Command): void {
  program
    .command('completion')
    .description('print a script that completes commands, options and names in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(shells))
    .addHelpText('after', help)
    .action((shell: Shell) => void process.stdout.write(completionScript(shell, placesOf(program))));
  program
    .command('__complete', { hidden: true })
    .addArgument(new Argument('<what>', 'what is asked').choices(asked))
    .action(async (what: Asked, _options: unknown, command: Command) => {
      // Silence is the only answer that does no harm on a line that somebody is typing.
      const lines = await ask(what, command.optsWithGlobals<GlobalOptions>().url).catch(() => []);
      for (const line of lines) console.log(line);
    });
}

async function ask(what: Asked, url: string | undefined): Promise<string[]> {
  const client = createClient(findConnection(url, process.env));
  const words = await { servers, runs, runbooks }[what](client);
  // Only what no shell would read as anything else than a word.
  return words
    .filter(([word]) => /^[\w.@:+-]+$/.test(word))
    .map(([word, about]) => `${word}\t${about.replace(/[^\w.@:+ -]/g, ' ')}`);
}

type Offered = readonly (readonly [word: string, about: string])[];

async function servers(client: Client): Promise<Offered> {
  const { items } = await get<{ items: ServerDocument[] }>(client, '/servers');
  return items.map((server) => [server.name, `recovers to ${server.recoverySiteId}`]);
}

async function runs(client: Client): Promise<Offered> {
  const { items } = await get<RunsDocument>(client, `/runs?limit=${runsOffered}`);
  const newest: Offered = items.length === 0 ? [] : [['last', 'the newest run']];
  return [...newest, ...items.map((run) => [run.runId, `${run.serverName} ${run.state}`] as const)];
}

async function runbooks(client: Client): Promise<Offered> {
  const { items } = await get<RunbooksDocument>(client, '/runbooks');
  return items.map(({ name, title }) => [name, title] as const);
}

async function get<T>(client: Client, path: string): Promise<T> {
  const { body } = await client.call<T>('GET', path, { signal: AbortSignal.timeout(answerWithinMs) });
  return body;
}
