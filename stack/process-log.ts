/** The log of a process: one JSON object a line, with what is being done now on it, and without secrets. */
import { pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import type { Configuration } from '../config/configuration';
import { printableJson } from '../model/names';
import { doingNow, logProgramsTo } from '../programs/log';
import { withoutSecrets } from '../programs/redact';
import { version } from './version';

/** What a full disk keeps from being written waits here, so much at most; what is beyond is lost. */
const mostWaitingBytes = 1024 ** 2;

/**
 * A log that cannot be written (a full disk, a reader that went away) is no reason to end what it tells of: a recovery goes on, and so
 * do the lines when there is room again. Space is watched by `muster doctor` and readiness.
 */
function standardOutput(): DestinationStream {
  // Asynchronous, it would wait at the process's end for room that may never come.
  const stream = pino.destination({ dest: 1, sync: true, maxLength: mostWaitingBytes });
  stream.on('error', () => undefined);
  return stream;
}

/**
 * Opens the log of this process and sends the ends of programs there. Lines of an effect carry runId, step, item,
 * attempt, server and site; those of a request requestId, and runId where one is known. Foreign text is escaped by JSON.
 *
 * @param destination default: standard output
 */
export function processLog(
  name: 'worker' | 'api',
  level: Configuration['logLevel'],
  destination?: DestinationStream,
): Logger {
  const log = pino(
    {
      level,
      base: { process: name, pid: process.pid, version },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => ({ ...doingNow() }),
      serializers: { err: stdSerializers.err },
      // Also for whoever reads a log on a terminal.
      hooks: { streamWrite: (line) => printableJson(withoutSecrets(line)) },
    },
    destination ?? standardOutput(),
  );
  logProgramsTo(log);
  return log;
}
