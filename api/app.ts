/** The API as a Hono app: put together here, served by server.ts, tested through app.request. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { isMusterError } from '../model/errors';
import { printable } from '../model/names';
import type { ApiDeps, ApiEnv } from './deps';
import { knownRunbooks, type Known } from './known-runbooks';
import { knownServers } from './known-servers';
import { createApiMetrics } from './metrics';
import { createVerifier } from './middleware/authenticate';
import { limitBody } from './middleware/limit-body';
import { logRequests } from './middleware/log-requests';
import { requestId } from './middleware/request-id';
import { defaultHeaders, secure } from './middleware/secure';
import { isBrowserWithoutToken, noLoginPage } from './no-login';
import { documentRoute } from './openapi';
import { findPlaces } from './places';
import type { Person } from '../store/contract';
import { Problem, problemResponse, withoutNear } from './problems';
import { recordRefusals } from './refusals';
import { registerOn } from './register';
import { runbookPlaces } from './runbooks/places';
import { closeRunRoutes } from './routes/close-run';
import { decisionRoutes } from './routes/decisions';
import { evidenceRoutes } from './routes/evidence';
import { evacuationRoutes } from './routes/evacuation';
import { healthRoutes } from './routes/health';
import { machineRoutes } from './routes/machines';
import { metricsRoutes } from './routes/metrics';
import { planRoutes } from './routes/plans';
import { notificationRoutes } from './routes/notifications';
import { protectionRoutes } from './routes/protection';
import { readinessRoutes } from './routes/readiness';
import { recoveryRoutes } from './routes/recoveries';
import { replicaRoutes } from './routes/replicas';
import { reportRoutes } from './routes/report';
import { runbookRoutes } from './routes/runbooks';
import { runEventRoutes } from './routes/run-events';
import { runRoutes } from './routes/runs';
import { scheduleRoutes } from './routes/schedules';
import { serverRoutes } from './routes/servers';
import { stuckRoutes } from './routes/stuck';
import { tokenRoutes } from './routes/tokens';
import { rememberActs } from './runs/acts';
import { createTimeLeft } from './runs/time-left';
import { createFailingWatch, type FailingWatch } from './failing-watch';
import { createSiteWatch, type SiteWatch } from './site-watch';
import { DeadlineError } from './within';

export interface Api extends Known {
  readonly app: OpenAPIHono<ApiEnv>;
  readonly sites: SiteWatch;
  readonly failing: FailingWatch;
}

export function createApi(deps: ApiDeps): OpenAPIHono<ApiEnv> {
  return assembleApi(deps).app;
}

/** The same, with what a serving process refreshes from time to time. */
export function assembleApi(deps: ApiDeps): Api {
  const app = new OpenAPIHono<ApiEnv>();
  const servers = knownServers(deps);
  const runbooks = knownRunbooks(deps);
  const verifier = createVerifier(deps.store.tokens, deps);
  const refusals = recordRefusals(deps);
  const acts = rememberActs(deps.temporal);
  const sites = createSiteWatch(deps);
  const failing = createFailingWatch(deps);
  const timeLeft = createTimeLeft(deps);
  const metrics = createApiMetrics(deps.config.version);
  const places = runbookPlaces(deps, { servers, runbooks });
  const register = registerOn(app, { verifier, refusals, places: findPlaces(deps, servers, places) });

  app.use(requestId, logRequests(deps, metrics), secure, defaultHeaders, limitBody(deps));
  healthRoutes(app, deps, sites);
  documentRoute(app, deps);
  metricsRoutes(register, deps, metrics);
  serverRoutes(register, deps, servers);
  protectionRoutes(register, deps, servers);
  replicaRoutes(register, deps, servers);
  machineRoutes(register, deps, refusals);
  readinessRoutes(register, deps, servers, places);
  scheduleRoutes(register, deps, places, refusals);
  runbookRoutes(register, deps, places);
  evacuationRoutes(register, deps);
  recoveryRoutes(register, deps, servers);
  planRoutes(register, deps, { servers, runbooks, places }, acts, refusals);
  runRoutes(register, sites.remembering(deps), { servers, acts, timeLeft, sites });
  runEventRoutes(register, sites.remembering(deps), sites);
  decisionRoutes(register, deps, acts, refusals);
  closeRunRoutes(register, deps, refusals);
  stuckRoutes(register, deps, { sites, failing });
  reportRoutes(register, deps, timeLeft);
  evidenceRoutes(register, deps);
  notificationRoutes(register, deps);
  tokenRoutes(register, deps, verifier);

  app.notFound((c) => problemResponse(missing(app, c), c.get('requestId')));
  app.onError((error, c) => {
    // Before the door is passed, there is no person.
    const { scopes = [] } = (c.get('person') as Person | undefined) ?? {};
    const problem = scopes.length === 0 ? asProblem(error) : withoutNear(asProblem(error));
    if (problem.status >= 500) {
      deps.log.error({ err: error, requestId: c.get('requestId'), path: c.req.path }, problem.message);
    }
    if (isBrowserWithoutToken(c, problem)) return noLoginPage(c, problem);
    return problemResponse(problem, c.get('requestId'));
  });
  return { app, servers, runbooks, sites, failing };
}

/** Nothing at this address, or nothing under this method. */
function missing(app: OpenAPIHono<ApiEnv>, c: Context<ApiEnv>): Problem {
  const { method, path } = c.req;
  const allow = methodsAt(app, path);
  if (allow.length === 0) {
    return new Problem('not-found', `There is nothing at ${printable(path)}. /api/v1/openapi.json lists what there is`);
  }
  return new Problem('method-not-allowed', `${printable(path)} does not take ${method}; it takes ${allow.join(', ')}`, {
    allow,
  });
}

function methodsAt(app: OpenAPIHono<ApiEnv>, path: string): string[] {
  const fits = (pattern: string): boolean =>
    new RegExp(`^${pattern.replace(/\/:[^/]+/g, '/[^/]+')}$`).test(path.replace(/\/$/, ''));
  const methods = app.routes
    .filter((route) => route.method !== 'ALL' && !route.path.includes('*') && fits(route.path))
    .map((route) => route.method);
  return [...new Set(methods)].sort();
}

/** Every error that a route may throw, as what the client is told. */
function asProblem(error: Error): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DeadlineError) {
    return new Problem('part-unavailable', `Postgres does not answer: ${error.message}`, {}, { cause: error });
  }
  if (isMusterError(error)) {
    const kind = error.family === 'TransientError' ? 'part-unavailable' : 'conflict';
    return new Problem(kind, error.message, {}, { cause: error });
  }
  if (error instanceof HTTPException) {
    const kind = error.status === 415 ? 'media-type' : error.status < 500 ? 'bad-request' : 'unexpected';
    return new Problem(kind, error.message, {}, { cause: error });
  }
  return new Problem(
    'unexpected',
    'Muster failed on this request. The log of the API has the cause under this request id',
    {},
    { cause: error },
  );
}
