/** Foreign text in a report, made safe to print in one pass, so that no field can be forgotten. */
import { printableLines } from '../model/names';

/** The same value with every string and every key free of terminal sequences, controls and changes of text direction. */
export function printableDeep<T>(value: T): T {
  if (typeof value === 'string') return printableLines(value) as T;
  if (Array.isArray(value)) return value.map(printableDeep) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [printableLines(key), printableDeep(inner)]),
  ) as T;
}
