import { Option, type Command } from 'commander';
import type { IssuedToken, TokensDocument } from '../../api/schemas/tokens';
import { scopeWords } from '../../model/access';
import { roles, type AccessScope, type Role } from '../../model/people';
import { action, type Context } from '../context';
import { table } from '../output';
import { collectScope, parseTime } from '../parse';

interface IssueOptions {
  readonly role: Role;
  readonly scope?: AccessScope[];
  readonly expires?: string;
}

export function tokenCommands(program: Command): void {
  const token = program.command('token').description('issue, list and revoke tokens of people').action(action(list));
  token
    .command('issue')
    .alias('create')
    .description('issue a token to a person; its text is shown once')
    .argument('<name>', 'the person, as the record will name them')
    .addOption(new Option('--role <role>', 'what they may do').choices(roles).makeOptionMandatory())
    .option(
      '--scope <scope>',
      'where the role holds: site:NAME or runbook:NAME; repeatable (default: everywhere)',
      collectScope,
    )
    .option('--expires <time>', 'when it ends (UTC); default: never', parseTime)
    .action(action(issue));
  token.command('list').description('list tokens').action(action(list));
  token
    .command('revoke')
    .description('revoke a token')
    .argument('<id>', "the token's id, from `muster token list`")
    .action(action(revoke));
}

async function issue({ client, out }: Context, options: IssueOptions, name: string): Promise<void> {
  const body = { name, role: options.role, scopes: options.scope ?? [], expiresAt: options.expires ?? null };
  const { body: issued } = await client.call<IssuedToken>('POST', '/tokens', { body });
  if (out.json) return out.document(issued);
  out.error(
    `Token ${issued.tokenId} of ${issued.person.name} (${issued.person.role} ${scopeWords(issued.person.scopes)}); it is shown this once:`,
  );
  out.line(issued.token);
}

async function list({ client, out }: Context): Promise<void> {
  const { items } = await client.get<TokensDocument>('/tokens');
  if (out.json) return out.document(items);
  const columns = [
    { title: 'token', width: 36 },
    { title: 'person', width: 10, grows: true },
    { title: 'role', width: 11 },
    { title: 'where', width: 10, grows: true },
    { title: 'state', width: 11 },
  ];
  const rows = items.map(({ tokenId, person, expiresAt, revokedAt }) => [
    tokenId,
    person.name,
    person.role,
    scopeWords(person.scopes),
    revokedAt !== null ? 'revoked' : expiresAt === null ? 'valid' : `until ${expiresAt.slice(0, 10)}`,
  ]);
  out.line(table(out, columns, rows));
}

async function revoke({ client, out }: Context, _options: object, tokenId: string): Promise<void> {
  await client.call('DELETE', `/tokens/${encodeURIComponent(tokenId)}`);
  if (out.json) return out.document({ revoked: tokenId });
  out.line(`Revoked ${tokenId}.`);
}
