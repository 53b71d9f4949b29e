/** Evidence files. They come from guests, so they are hostile: never sniffed, never run, never shown with Muster's rights. */
import { z } from '@hono/zod-openapi';
import type { EvidenceRef } from '../../model/events';
import { reportModel } from '../../model/report';
import type { ApiDeps } from '../deps';
import { notFound, Problem } from '../problems';
import type { Register } from '../register';
import { readRun, type RunReading } from '../runs/read';
import { runParam } from './runs';

/** What a browser may show inside the sandbox; all else is a download of bytes. */
const shownTypes = ['image/png', 'text/plain', 'application/json'];

const anyOf = (types: readonly string[]) => Object.fromEntries(types.map((type) => [type, { schema: z.any() }]));

export function evidenceRoutes(register: Register, deps: ApiDeps): void {
  register(
    'getEvidence',
    {
      method: 'get',
      path: '/runs/{runId}/evidence/{sha256}',
      summary: 'A file that the journal of a run names',
      request: {
        params: runParam.extend({
          sha256: z.string().regex(/^[0-9a-f]{64}$/, 'needs 64 hexadecimal digits in lower case'),
        }),
      },
      responses: { 200: { description: 'The file', content: anyOf([...shownTypes, 'application/octet-stream']) } },
    },
    async (c) => {
      const { runId, sha256 } = c.req.valid('param');
      const named = evidenceNamed(await readRun(deps, runId)).find((evidence) => evidence.sha256 === sha256);
      if (!named) throw notFound('evidence of this run', sha256);
      const bytes = await deps.evidence.read(sha256);
      if (!bytes) {
        throw new Problem(
          'not-found',
          `The journal names ${named.name}, but its file is not in the evidence folder of this API`,
        );
      }
      const shown = shownTypes.includes(named.mediaType);
      const headers = {
        'content-type': shown ? named.mediaType : 'application/octet-stream',
        'content-disposition': `${shown ? 'inline' : 'attachment'}; filename="${fileName(named.name)}"`,
        'content-security-policy': "default-src 'none'; sandbox",
        'x-content-type-options': 'nosniff',
        etag: `"${sha256}"`,
        'cache-control': 'private, max-age=31536000, immutable',
      };
      return new Response(new Uint8Array(bytes), { headers }) as never;
    },
  );
}

/** All that the record names: also what only a proof's rungs do. */
function evidenceNamed({ events, declaration, view }: RunReading): EvidenceRef[] {
  const context = { generatedAt: view.closedAt ?? view.openedAt, headHash: null, versions: {} };
  return reportModel(events, declaration, context).evidence.map(({ evidence }) => evidence);
}

function fileName(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 100);
}
