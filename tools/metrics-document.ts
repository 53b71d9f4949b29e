/** docs/operating.md's tables of metrics, made from the metrics themselves. */
import type { MetricObject, Registry } from 'prom-client';
import { createApiMetrics } from '../api/metrics';
import { fillBetween, table } from '../config/documentation';
import { createWorkerMetrics } from '../worker/metrics';

/** docs/operating.md with its generated parts filled in. */
export function operatingDocument(page: string): string {
  const withApi = fillBetween(page, 'api-metrics', metricsTable(createApiMetrics('0').registry));
  return fillBetween(withApi, 'worker-metrics', metricsTable(createWorkerMetrics(() => 0).registry));
}

function metricsTable(registry: Registry): string {
  // prom-client keeps the labels on the metric, beside what its types declare.
  const metrics = registry.getMetricsAsArray() as unknown as (MetricObject & { labelNames?: string[] })[];
  const rows = metrics.map(({ name, help, type, labelNames = [] }) => [
    `\`${name}\``,
    kindOf(type),
    labelNames.map((label) => `\`${label}\``).join(', '),
    help,
  ]);
  return table(['metric', 'kind', 'labels', 'what'], rows);
}

/** prom-client names kinds by their words, or by the number of its enumeration. */
function kindOf(type: unknown): string {
  return typeof type === 'number' ? (['counter', 'gauge', 'histogram', 'summary'][type] ?? '') : String(type);
}
