/** Schedules of rehearsals: when each comes next, and pausing, resuming and starting one by a person. */
import type { ApiDeps } from '../deps';
import { refuseStranger } from '../plans/start';
import { notFound, Problem } from '../problems';
import type { Refusals } from '../refusals';
import { body, json, plain, type Register } from '../register';
import type { RunbookPlaces } from '../runbooks/places';
import { readStored } from '../runbooks/stored';
import { nearNames } from '../../model/near';
import {
  scheduleActParam,
  scheduleActSchema,
  scheduleSchema,
  schedulesSchema,
  type ScheduleDocument,
} from '../schemas/schedules';
import { within } from '../within';

export function scheduleRoutes(register: Register, deps: ApiDeps, places: RunbookPlaces, refusals: Refusals): void {
  const { temporal, config, store, clock } = deps;
  const { tenantId, coreId } = config;

  register(
    'listSchedules',
    {
      method: 'get',
      path: '/schedules',
      summary: 'Scheduled rehearsals: when each comes next, and what became of the last',
      responses: { 200: json(schedulesSchema, 'Schedules by runbook') },
    },
    async (c) => {
      const shown = await places.seenBy(c.get('person'));
      const all = await temporal.scheduledRunbooks(tenantId);
      const runbooks = all.filter(shown).sort();
      const seen = await Promise.all(runbooks.map((runbook) => temporal.viewSchedule(tenantId, runbook)));
      const items = seen.filter((one) => one !== undefined);
      return c.json({ items: items.map((one) => plain<ScheduleDocument>(one)) }, 200);
    },
  );

  register(
    'actOnSchedule',
    {
      method: 'post',
      path: '/schedules/{name}/acts',
      summary: 'Pause, resume or start a scheduled rehearsal',
      description:
        'Recorded in the chain of the installation. A rehearsal that is started here is decided on as a scheduled one is: skipped while replication is behind or another run has a server. It is a run of who started it, with their reason; 409 while another one of this runbook is being decided.',
      request: { params: scheduleActParam, body: body(scheduleActSchema) },
      responses: { 200: json(scheduleSchema, 'The schedule afterwards') },
    },
    async (c) => {
      const runbook = c.req.valid('param').name;
      const { act, reason } = c.req.valid('json');
      const by = c.get('by');
      if ((await temporal.viewSchedule(tenantId, runbook)) === undefined) {
        const near = nearNames(runbook, await temporal.scheduledRunbooks(tenantId));
        throw notFound('schedule of runbook', runbook, near);
      }
      if (act === 'run-now') {
        const stored = await within(config.storeDeadlineMs, store.runbooks.find(runbook));
        if (stored !== undefined) refuseStranger((await readStored(stored)).runbook, by, refusals);
      }
      const message = `Schedule of runbook ${runbook}: ${act}. ${reason}`;
      const event = { kind: 'noted', at: clock().toISOString(), by, step: null, item: null, attempt: null } as const;
      await within(config.storeDeadlineMs, store.journal.note({ ...event, data: { message } }));
      if (act !== 'run-now') {
        await temporal.actOnSchedule(tenantId, runbook, act, `${by.actor.name}: ${reason}`);
      } else if (!(await temporal.rehearseNow({ tenantId, coreId, runbook, asked: { by, reason } }))) {
        const problem = beingDecided(runbook);
        refusals.note(`start of runbook ${runbook}`, problem.message, by);
        throw problem;
      }
      const after = await temporal.viewSchedule(tenantId, runbook);
      if (after === undefined) throw notFound('schedule of runbook', runbook, []);
      return c.json(plain<ScheduleDocument>(after), 200);
    },
  );
}

const beingDecided = (runbook: string): Problem =>
  new Problem(
    'refused',
    `Whether another rehearsal of ${runbook} may run is being decided, because its time has come or somebody asked for it. \`muster schedule list\` shows what becomes of it; start another when it has ended`,
    { refusal: 'BeingDecided' },
  );
