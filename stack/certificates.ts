/** Certificates of what the configuration names: files, and what servers show. Only looked at: whether they are trusted is asked where they are used. */
import type { Configuration } from '../config/configuration';
import { readPostgresUrl } from '../config/postgres-url';
import type { CertificateSeen } from '../model/readiness/plan-risks';
import { askMail, askPostgres, inFile, look, shownBy } from './shown-certificate';

/** Never throws: what cannot be read is in the answer. */
export function lookAtCertificates(configuration: Configuration): Promise<CertificateSeen[]> {
  const { mail, webhooks, publicUrl } = configuration.notifications;
  const https = [...webhooks.map(({ name, url }) => ({ of: `webhook ${name}`, url })), ...ownAddress(publicUrl)];
  return Promise.all([
    ...https
      .filter(({ url }) => url.startsWith('https:'))
      .map(({ of, url }) => look(of, hostOf(url), () => shownBy(hostOf(url), 443))),
    ...(mail?.security === 'tls'
      ? [look('mail', `${mail.host}:${mail.port}`, () => shownBy(`${mail.host}:${mail.port}`, 465))]
      : []),
    ...(mail?.security === 'starttls'
      ? [look('mail', `${mail.host}:${mail.port}`, () => shownBy(`${mail.host}:${mail.port}`, 587, askMail))]
      : []),
    ...postgres(configuration),
  ]);
}

const ownAddress = (url: string | null) => (url === null ? [] : [{ of: 'API', url }]);
const hostOf = (url: string): string => new URL(url).host;

/** Files that its URL names, and what the server shows where the URL asks for TLS. */
function postgres(configuration: Configuration): Promise<CertificateSeen>[] {
  let url: URL;
  try {
    url = new URL(readPostgresUrl(configuration));
  } catch {
    return [];
  }
  const files = ['sslrootcert', 'sslcert'].flatMap((name) => url.searchParams.get(name) ?? []);
  const mode = url.searchParams.get('sslmode');
  const usesTls = mode !== null && mode !== 'disable' && mode !== 'no-verify' && url.hostname !== '';
  return [
    ...files.map((path) => look('Postgres', path, () => inFile(path))),
    ...(usesTls ? [look('Postgres', url.host, () => shownBy(url.host, 5432, askPostgres))] : []),
  ];
}
