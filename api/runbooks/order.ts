/** The plan that a runbook would be at this moment, for looking at it: its ids are nobody's. */
import { v7 as uuidv7 } from 'uuid';
import { buildPlan, type BuiltPlan } from '../../model/orders/build-plan';
import type { Mode } from '../../model/order';
import type { RunbookFile } from '../../model/schema/runbook';
import type { ApiDeps } from '../deps';
import type { Asked } from './inventory';
import { readIncluded, readyText } from './stored';

const nobody = {
  actor: { kind: 'person', id: 'preview', name: 'preview' },
  authMethod: 'none',
  requestId: 'preview',
  address: 'preview',
} as const;

/** Included runbooks are in their newest versions. @throws Problem as readStored does. */
export async function planWithout(
  { store, config, clock }: Pick<ApiDeps, 'store' | 'config' | 'clock'>,
  text: string,
  file: RunbookFile,
  { servers }: Pick<Asked, 'servers'>,
  mode: Mode,
): Promise<BuiltPlan> {
  const runbooks = await readIncluded(
    store.runbooks,
    file.includes.map(({ runbook }) => runbook),
  );
  return buildPlan(
    readyText(text, file),
    {
      servers: new Map(servers.map((server) => [server.name, server])),
      runbooks,
      physicalMachines: config.physicalMachines ?? {},
    },
    {
      tenantId: config.tenantId,
      coreId: config.coreId,
      mode,
      intent: 'disaster',
      points: {},
      lostAt: null,
      requestedAt: clock().toISOString(),
      requestedBy: nobody,
      reason: 'preview',
      runId: uuidv7(),
      newRunId: uuidv7,
    },
  );
}
