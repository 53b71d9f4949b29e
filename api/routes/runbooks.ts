/** Runbooks: checked, imported, listed, shown. */
import type { ApiDeps } from '../deps';
import { body, json, type Register } from '../register';
import { checkDocument, checkText } from '../runbooks/check';
import { importText, showRunbook, summary } from '../runbooks/import';
import { scheduleImported } from '../schedules/reconcile';
import type { RunbookPlaces } from '../runbooks/places';
import { planRunbook } from '../runbooks/plan';
import { planRunbookSchema, runbookPlanSchema } from '../schemas/runbook-plan';
import {
  importedSchema,
  runbookCheckSchema,
  runbookParam,
  runbookSchema,
  runbooksSchema,
  runbookTextSchema,
  versionQuery,
} from '../schemas/runbooks';

export function runbookRoutes(register: Register, deps: ApiDeps, places: RunbookPlaces): void {
  register(
    'checkRunbook',
    {
      method: 'post',
      path: '/runbooks/check',
      summary: 'What is wrong with a runbook’s text',
      description:
        'Everything at once, each with line, column, what was found and what is needed. Nothing is stored. A text with errors is answered with 200 and `ok` false.',
      request: { body: body(runbookTextSchema) },
      responses: { 200: json(runbookCheckSchema, 'What was found, and what could not be asked') },
    },
    async (c) => c.json(checkDocument(await checkText(deps, c.req.valid('json').text)), 200),
  );

  register(
    'planRunbook',
    {
      method: 'post',
      path: '/runbooks/plan',
      summary: 'A runbook as it would run now',
      description:
        'Waves with their expected times from past runs, what makes it as long as it is, and what will ask whom. Nothing is started or stored.',
      request: { body: body(planRunbookSchema) },
      responses: { 200: json(runbookPlanSchema, 'The preview; null beside what is wrong with the text') },
    },
    async (c) => c.json(await planRunbook(deps, c.req.valid('json')), 200),
  );

  register(
    'importRunbook',
    {
      method: 'post',
      path: '/runbooks',
      summary: 'Import a runbook as a new version',
      description:
        'Versions are never changed or removed. The newest text again is the version that it is; an earlier one becomes a new version, and so the newest.',
      request: { body: body(runbookTextSchema) },
      responses: { 200: json(importedSchema, 'It is the newest already'), 201: json(importedSchema, 'A new version') },
    },
    async (c) => {
      const imported = await importText(deps, c.req.valid('json').text, c.get('person'));
      const notScheduled = await scheduleImported(deps, imported.name);
      return c.json({ ...imported, notScheduled }, imported.seenBefore ? 200 : 201);
    },
  );

  register(
    'listRunbooks',
    {
      method: 'get',
      path: '/runbooks',
      summary: 'All runbooks in their newest versions, without their texts',
      responses: { 200: json(runbooksSchema, 'Runbooks by name') },
    },
    async (c) => {
      const shown = await places.seenBy(c.get('person'));
      const all = (await deps.store.runbooks.index()).filter(({ name }) => shown(name));
      return c.json({ items: all.map(summary) }, 200);
    },
  );

  register(
    'getRunbook',
    {
      method: 'get',
      path: '/runbooks/{name}',
      summary: 'One version of a runbook with its text',
      request: { params: runbookParam, query: versionQuery },
      responses: { 200: json(runbookSchema, 'The version, and which others there are') },
    },
    async (c) => c.json(await showRunbook(deps, c.req.valid('param').name, c.req.valid('query').version), 200),
  );
}
