/** Temporal's runtime in this process: its log lines go into ours, and signals are left to us. */
import { makeTelemetryFilterString, Runtime, type LogMetadata } from '@temporalio/worker';
import type { Logger } from 'pino';

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** Once in a process, before the first connection. */
export function installRuntime(log: Logger): void {
  const temporal = log.child({ part: 'temporal-sdk' });
  const write =
    (level: Level) =>
    (message: string, meta?: LogMetadata): void =>
      temporal[level](flat(meta), message);
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log: (level, message, meta) => write(level.toLowerCase() as Level)(message, meta),
      trace: write('trace'),
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    },
    telemetryOptions: { logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN' }) } },
  });
}

/** A bigint (sizes, history lengths) is not JSON, and an Error would be written without its message. */
function flat(meta: LogMetadata | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(meta ?? {}).map(([key, value]) => [key, plain(value)]));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value;
}
