/**
 * Text without the secrets that are known by their form: a last line of defence. Secrets are kept out of argument lists
 * and log calls where they are used (design: law 8); this is for the day when one slips through.
 */
const forms: readonly (readonly [RegExp, string])[] = [
  // scheme://user:password@host
  [/(\b[a-z][\w+.-]*:\/\/[^\s:/@"']*):[^\s@"']+@/gi, '$1:…@'],
  // Authorization: Bearer …, Basic …
  [/\b(Bearer|Basic) +[\w.~+/=-]{8,}/gi, '$1 …'],
  // Muster's own tokens
  [/\bmst_[\w-]{8,}/g, 'mst_…'],
  // "password": "…" in JSON, also in JSON inside a string; then password=… in URLs and settings
  [/((?:password|passwd|passphrase|secret|token)\\?["']\s*:\s*\\?["'])[^"'\\]+/gi, '$1…'],
  [/\b((?:password|passwd|passphrase|secret|token)=)[^\s"'&,;\\]+/gi, '$1…'],
];

export function withoutSecrets(text: string): string {
  return forms.reduce((rest, [form, shown]) => rest.replace(form, shown), text);
}

/** After these words of virsh comes what a guest is told, which may hold anything. */
const unseenAfter = ['qemu-agent-command', 'qemu-monitor-command', 'set-user-password', 'secret-set-value'];
const longestArgument = 200;

/** An argument list as a log may show it. */
export function shownArguments(args: readonly string[]): string[] {
  const at = args.findIndex((arg) => unseenAfter.includes(arg));
  const seen = at === -1 ? args : args.slice(0, at + 1);
  const short = seen.map((arg) =>
    withoutSecrets(arg.length <= longestArgument ? arg : `${arg.slice(0, longestArgument)}…`),
  );
  return at === -1 || at === args.length - 1 ? short : [...short, '(not shown)'];
}
