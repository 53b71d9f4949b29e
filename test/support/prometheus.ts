/** A reader of Prometheus' text format, strict where the format is: every sample stands under its HELP and TYPE. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

/** @throws with the line that is not of the format. */
export function readMetrics(text: string): Family[] {
  const families: { name: string; help: string; type: string; samples: Sample[] }[] = [];
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    const family = families.at(-1);
    if (help !== null) families.push({ name: help[1]!, help: help[2]!, type: '', samples: [] });
    else if (family === undefined) throw new Error(`This belongs to no metric: ${line}`);
    else if (type !== null && family.name === type[1]) family.type = type[2]!;
    else family.samples.push(readSample(line, family));
  }
  return families;
}

function readSample(line: string, family: Pick<Family, 'name' | 'type'>): Sample {
  const match = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/s.exec(line);
  const name = match?.[1] ?? '';
  const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  if (match === null || !suffixes.some((suffix) => name === `${family.name}${suffix}`)) {
    throw new Error(`This is no sample of ${family.name}: ${line}`);
  }
  return { name, labels: readLabels(match[2] ?? '', line), value: Number(match[3]) };
}

/** Labels as they are meant: `\\`, `\"` and `\n` stand for themselves, nothing else is escaped, nothing is between them. */
function readLabels(text: string, line: string): Record<string, string> {
  const one = /([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/gy;
  const labels: Record<string, string> = {};
  while (one.lastIndex < text.length) {
    const [, key, value] = one.exec(text) ?? [];
    if (key === undefined || key in labels) throw new Error(`These are no labels: ${line}`);
    labels[key] = value!.replace(/\\(.)/g, (_escape, meant: string) => (meant === 'n' ? '\n' : meant));
  }
  return labels;
}

/** The value of one sample; undefined when it is not there. */
export function valueOf(families: readonly Family[], name: string, labels: object = {}): number | undefined {
  const wanted = Object.entries(labels);
  const samples = families.flatMap((family) => family.samples.filter((sample) => sample.name === name));
  return samples.find((sample) => wanted.every(([key, value]) => sample.labels[key] === value))?.value;
}

/** What is against Prometheus' conventions (prometheus.io/docs/practices/naming), as sentences. */
export function badNames(families: readonly Pick<Family, 'name' | 'type' | 'help'>[]): string[] {
  return families.flatMap(({ name, type, help }) => [
    ...(/^[a-z][a-z0-9_]*$/.test(name) ? [] : [`${name}: characters`]),
    ...((type === 'counter') === name.endsWith('_total') ? [] : [`${name}: _total is for counters`]),
    ...(/milli|_ms$|_minutes|_kilobytes|_mb$/.test(name) ? [`${name}: seconds and bytes are the units`] : []),
    ...(help.length > 10 ? [] : [`${name}: no help`]),
  ]);
}
