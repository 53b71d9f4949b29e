/** Foreign text in a report, made safe to print in one pass, so that no field can be forgotten. */
import { printableLines } from '../model/names';

/**
 * The same value with every string and every key free of terminal sequences, controls and changes of text direction; `clean` may
 * take more out.
 */
export function printableDeep<T>(value: T, clean: (text: string) => string = printableLines): T {
  if (typeof value === 'string') return clean(value) as T;
  if (Array.isArray(value)) return value.map((one: unknown) => printableDeep(one, clean)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [clean(key), printableDeep<unknown>(inner, clean)]),
  ) as T;
}
