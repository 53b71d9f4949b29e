/** The sites of the file, checked, with their folders filled in. */
import { join, resolve } from 'node:path';
import type { z } from 'zod';
import type { RecoverySiteConfig, SourceSiteConfig } from './configuration';
import { mayHoldSecret, showValue, type ConfigurationProblem } from './problems';
import { sitesSchema, standardSites } from './sites';

export interface Sites {
  readonly sites: readonly RecoverySiteConfig[];
  readonly sources: readonly (SourceSiteConfig & { readonly folder?: string })[];
}

/** What is wrong goes into `problems`; then the sites are empty. */
export function readSites(
  file: string | null,
  tree: Readonly<Record<string, unknown>>,
  dataFolder: string,
  problems: ConfigurationProblem[],
): Sites {
  const written = { sites: tree['sites'] ?? standardSites.sites, sources: tree['sources'] ?? standardSites.sources };
  const result = sitesSchema.safeParse(written);
  if (!result.success) {
    problems.push(...result.error.issues.map((issue) => siteProblem(file, written, issue)));
    return { sites: [], sources: [] };
  }
  const { sites, sources } = result.data;
  problems.push(...repeatedIds(file, 'sites', sites), ...repeatedIds(file, 'sources', sources));
  const folderOf = (id: string, folder: string | undefined): string => resolve(folder ?? join(dataFolder, 'sites', id));
  return {
    sites: sites.map((site) => ({ ...site, folder: folderOf(site.id, site.folder) })),
    sources: sources.map((site) =>
      site.kind === 'simulated' ? { ...site, folder: folderOf(site.id, site.folder) } : site,
    ),
  };
}

function siteProblem(file: string | null, written: object, issue: z.core.$ZodIssue): ConfigurationProblem {
  const place = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  const found = issue.path.reduce<unknown>(
    (value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part],
    written,
  );
  return {
    where: `${file ?? 'sites'}: ${place.replace(/^\./, '')}`,
    found: showValue(found, mayHoldSecret(String(issue.path.at(-1) ?? ''))),
    needed: issue.message.replace(/^Invalid discriminator value\. Expected /, 'one of '),
    remedy: 'See "Sites" in docs/configuration.md.',
  };
}

function repeatedIds(
  file: string | null,
  list: string,
  sites: readonly { readonly id: string }[],
): ConfigurationProblem[] {
  const ids = sites.map((site) => site.id);
  return [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))].map((id) => ({
    where: `${file ?? 'sites'}: ${list}`,
    found: `the id "${id}" more than once`,
    needed: 'ids that differ',
    remedy: 'Rename one of the sites.',
  }));
}
