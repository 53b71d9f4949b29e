/**
 * Whether text that a guest wrote matches a pattern that a person wrote. Some patterns take for ever on some texts
 * (`(a+)+$`), and a worker that is busy with one sends no heartbeats: so the matching is stopped after a time.
 *
 * Source: V8 looks for an interrupt while it backtracks, so the time limit of node:vm ends it (tested).
 */
import { createContext, Script } from 'node:vm';

/** Below the time in which a heartbeat is missed; a pattern that is in order takes less than a millisecond. */
const limitMs = 2_000;
/** What a probe has to say stands at its beginning. */
const longestText = 1024 * 1024;

const matching = new Script('new RegExp(pattern).test(text)');

/** @returns `too-slow` when the pattern did not come to an end in time. @throws SyntaxError when it is none. */
export function matchesInTime(pattern: string, text: string, withinMs = limitMs): boolean | 'too-slow' {
  // A context with two texts in it and nothing else.
  const context = createContext(Object.assign(Object.create(null), { pattern, text: text.slice(0, longestText) }));
  try {
    return matching.runInContext(context, { timeout: withinMs }) === true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return 'too-slow';
    throw error;
  }
}
