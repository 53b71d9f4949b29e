/**
 * Evidence files, kept under their SHA-256: `<folder>/<tenant>/<core>/ab/cdef…` (the first two digits are a folder).
 *
 * A file appears whole or not at all: written beside its place, fsynced, renamed, and the folder fsynced. The same
 * content again meets the first file; the folder may be on shared storage and have several writers.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EvidenceRef } from '../model/events';
import { OperatorError, PermanentError, TransientError } from '../model/errors';
import { sha256Hex } from './canonical';
import {
  errnoOf,
  placeDraft,
  sweepDrafts,
  unlessMissing,
  verifyFile,
  writeDraft,
  type EvidenceVerdict,
} from './evidence-files';
import { evidenceMediaType, evidenceName } from './evidence-names';

export type EvidenceSource = Uint8Array | string | { readonly file: string };

export interface EvidenceStore {
  /**
   * Keeps bytes, a text (as UTF-8) or a copy of a file. Idempotent by content; a damaged file of the same content is
   * replaced.
   *
   * @throws PermanentError when it is larger than the limit, or the file is none; OperatorError when the folder is full
   * or not writable
   */
  put(source: EvidenceSource, name: string, mediaType: string): Promise<EvidenceRef>;
  /** The content as a stream, or undefined where there is none. Not verified. @throws PermanentError for no SHA-256 */
  open(sha256: string): Promise<{ readonly stream: NodeJS.ReadableStream; readonly sizeBytes: number } | undefined>;
  /** The whole content; undefined where there is none, or where it was damaged (`verify` says which). */
  read(sha256: string): Promise<Buffer | undefined>;
  /** Hashes what is there. @throws PermanentError for no SHA-256 */
  verify(sha256: string): Promise<EvidenceVerdict>;
}

export interface EvidenceOptions {
  /** Holds evidence of all tenants; made where it is missing. */
  readonly folder: string;
  readonly tenantId: string;
  readonly coreId: string;
  /** Largest file. Default 64 MiB. */
  readonly maxBytes?: number;
}

const defaultMaxBytes = 64 * 1024 * 1024;

export function openEvidenceStore(options: EvidenceOptions): EvidenceStore {
  const root = join(options.folder, pathPart('tenant', options.tenantId), pathPart('core', options.coreId));
  const maxBytes = options.maxBytes ?? defaultMaxBytes;
  const pathOf = (sha256: string): string => join(root, requireSha256(sha256).slice(0, 2), sha256.slice(2));
  /** Once per process is enough: drafts are left only by processes that were killed. */
  let swept: Promise<void> | undefined;
  const verify = (sha256: string): Promise<EvidenceVerdict> => verifyFile(pathOf(sha256), sha256);
  return {
    verify,
    put: async (source, name, mediaType) => {
      const label = evidenceName(name);
      const draft = join(root, 'incoming', randomUUID());
      try {
        await mkdir(join(root, 'incoming'), { recursive: true, mode: 0o750 });
        const { sha256, sizeBytes } = await writeDraft(draft, chunksOf(source), label, maxBytes);
        await (swept ??= sweepDrafts(draft));
        if (!(await verify(sha256)).ok) await placeDraft(draft, pathOf(sha256));
        return { sha256, name: label, mediaType: evidenceMediaType(mediaType), sizeBytes };
      } catch (error) {
        throw putFailure(error, label, root);
      } finally {
        await rm(draft, { force: true }).catch(() => undefined);
      }
    },
    open: async (sha256) => {
      const path = pathOf(sha256);
      const handle = await unlessMissing(open(path, 'r'));
      if (handle === undefined) return undefined;
      const { size } = await handle.stat();
      return { stream: handle.createReadStream(), sizeBytes: size };
    },
    read: async (sha256) => {
      const content = await unlessMissing(readFile(pathOf(sha256)));
      return content !== undefined && sha256Hex(content) === sha256 ? content : undefined;
    },
  };
}

async function* chunksOf(source: EvidenceSource): AsyncGenerator<Uint8Array> {
  if (typeof source === 'string') yield Buffer.from(source);
  else if (source instanceof Uint8Array) yield source;
  else {
    if (!(await stat(source.file)).isFile()) {
      throw new PermanentError({
        what: 'evidence is kept from files only',
        found: source.file,
        needed: 'a regular file',
      });
    }
    yield* createReadStream(source.file) as AsyncIterable<Buffer>;
  }
}

function requireSha256(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new PermanentError({
    what: 'evidence is named by its SHA-256',
    found: JSON.stringify(text.slice(0, 80)),
    needed: '64 lower-case hex digits',
  });
}

/** Ids become folder names as they are, so that a path can be read; an id that would leave its place is refused. */
function pathPart(which: string, id: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(id)) return id;
  throw new OperatorError({
    what: `the ${which} id cannot name an evidence folder`,
    found: JSON.stringify(id.slice(0, 80)),
    needed: 'at most 64 letters, digits, dashes, dots or underscores, not beginning with a dot or dash',
    remedy: `Correct the ${which} id in the configuration.`,
  });
}

function putFailure(error: unknown, label: string, root: string): unknown {
  const code = errnoOf(error);
  const facts = { what: `${label} could not be kept as evidence`, found: `${code} at ${root}` };
  if (['ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code)) {
    const remedy = 'Make room in the evidence folder, or make it writable for the worker.';
    return new OperatorError({ ...facts, remedy }, { cause: error });
  }
  if (['EIO', 'ESTALE', 'ETIMEDOUT', 'EMFILE', 'ENFILE', 'EBUSY'].includes(code)) {
    return new TransientError({ ...facts, remedy: 'Check the storage of the evidence folder.' }, { cause: error });
  }
  return code === '' ? error : new PermanentError(facts, { cause: error });
}
