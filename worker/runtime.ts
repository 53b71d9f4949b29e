/** Temporal's runtime in this process: its log lines go into ours, its metrics where they are asked for, and signals are left to us. */
import { makeTelemetryFilterString, Runtime, type LogMetadata, type TelemetryOptions } from '@temporalio/worker';
import type { Logger } from 'pino';

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/**
 * Once in a process, before the first connection.
 *
 * @param metricsAddress host:port that the SDK's own metrics are served on; what cannot be listened on is only logged
 */
export function installRuntime(log: Logger, metricsAddress: string | null = null): void {
  const logging: TelemetryOptions = {
    logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN' }) },
  };
  const logger = temporalLogger(log);
  const install = (telemetryOptions: TelemetryOptions): Runtime =>
    Runtime.install({ shutdownSignals: [], logger, telemetryOptions });
  if (metricsAddress === null) return void install(logging);
  try {
    install({ ...logging, metrics: { prometheus: { bindAddress: metricsAddress, useSecondsForDurations: true } } });
  } catch (error) {
    const { message } = error as Error;
    log.error({ metricsAddress, error: message }, "the metrics of Temporal's SDK are not served");
    install(logging);
  }
}

/** What Temporal's packages write to, as lines of ours. */
export function temporalLogger(log: Logger) {
  const temporal = log.child({ part: 'temporal-sdk' });
  const write =
    (level: Level) =>
    (message: string, meta?: LogMetadata): void =>
      temporal[level](fieldsOf(meta), message);
  return {
    log: (level: string, message: string, meta?: LogMetadata) => write(level.toLowerCase() as Level)(message, meta),
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}

/**
 * The SDK's fields as ours. Its `runId` is Temporal's, which changes when a workflow continues as new: `runId` is Muster's
 * everywhere, and workflow code gives it as `musterRunId`, because the SDK's own field would win. A bigint (sizes,
 * history lengths) is not JSON, and an Error would be written without its message.
 */
export function fieldsOf(meta: LogMetadata | undefined): Record<string, unknown> {
  const { runId: temporalRunId, musterRunId, ...rest } = meta ?? {};
  const ids = {
    ...(temporalRunId === undefined ? {} : { temporalRunId }),
    ...(musterRunId ? { runId: musterRunId } : {}),
  };
  return Object.fromEntries(Object.entries({ ...rest, ...ids }).map(([key, value]) => [key, plain(value)]));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value;
}
