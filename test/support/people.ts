/** People whom the store knows, as the door hands them to a workflow. */
import type { Provenance } from '../../model/order';
import type { AccessScope, Role } from '../../model/people';
import type { Store } from '../../store/contract';
import { pauses } from './pauses';

export interface Known {
  readonly by: Provenance;
  readonly tokenIds: string[];
}

export async function known(
  store: Pick<Store, 'tokens'>,
  name: string,
  role: Role,
  scopes: readonly AccessScope[] = [],
): Promise<Known> {
  const { person, tokenId } = await store.tokens.issue({ name, role, scopes }, null);
  const actor = { kind: 'person' as const, ...person };
  return {
    by: { actor, authMethod: 'bearer-token', requestId: `req-${name}`, address: '10.20.0.40' },
    tokenIds: [tokenId],
  };
}

/** Type and words of the refusal of an update; fails when it was accepted. */
export async function refusalOf(update: Promise<unknown>): Promise<[type: string, message: string]> {
  const answer = await update.then(
    (accepted) => ({ accepted }),
    (error: { cause?: { type?: string; message?: string } }) => error,
  );
  if ('accepted' in answer) throw new Error(`It was accepted: ${JSON.stringify(answer.accepted)}`);
  return [answer.cause?.type ?? '', answer.cause?.message ?? String(answer)];
}

/** What `look` finds, as soon as it finds something. */
export async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const pause = pauses(50);
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await pause();
  }
}
