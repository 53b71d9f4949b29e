/** Logs every call of a driver: what, about whom, how long, how it ended. */
import { subjectsOf } from './faults';

/** What pino and its like offer. */
export interface CallLogger {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** The same driver, logging. Arguments are not logged, apart from names: a guest command may carry what nobody should read. */
export function withLog<T extends object>(
  driver: T,
  name: string,
  logger: CallLogger,
  now: () => number = Date.now,
): T {
  return new Proxy(driver, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== 'function' || typeof property !== 'string') return value;
      return (...args: unknown[]) => {
        const startedAt = now();
        const about = {
          driver: name,
          method: property,
          subjects: subjectsOf(args).map((subject) => subject.slice(0, 200)),
        };
        const ended = () => ({ ...about, durationMs: now() - startedAt });
        const answer = value.apply(target, args) as unknown;
        if (!(answer instanceof Promise)) return answer;
        return answer.then(
          (result: unknown) => {
            logger.debug(ended(), `${name}.${property} done`);
            return result;
          },
          (error: unknown) => {
            const { name: family, message } = error as Error;
            logger.warn({ ...ended(), family, error: message }, `${name}.${property} failed`);
            throw error;
          },
        );
      };
    },
  });
}
