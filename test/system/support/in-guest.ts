/** Programs in a guest, through its agent, by virsh alone. */
import { exitCodeOf } from '../../replication/support/tools';
import { agent, uri } from '../../replication/support/demo-machine';
import { eventually } from './system';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
}

export async function agentAnswers(machine: string): Promise<boolean> {
  return (await exitCodeOf('virsh', '-c', uri, 'qemu-agent-command', machine, '{"execute":"guest-ping"}')) === 0;
}

/** @throws while no agent answers. A program that a signal ended has exit code 128. */
export async function runInGuest(machine: string, path: string, ...args: string[]): Promise<Ran> {
  const { pid } = await ask<{ pid: number }>(machine, 'guest-exec', { path, arg: args, 'capture-output': true });
  return eventually(`${path} in ${machine} has ended`, 120_000, async () => {
    const status = await ask<{ exited: boolean; exitcode?: number; 'out-data'?: string }>(
      ...([machine, 'guest-exec-status', { pid }] as const),
    );
    if (!status.exited) return undefined;
    return { exitCode: status.exitcode ?? 128, stdout: Buffer.from(status['out-data'] ?? '', 'base64').toString() };
  });
}

const ask = <T>(machine: string, execute: string, more: object): Promise<T> =>
  agent<T>(machine, { execute, arguments: more });
