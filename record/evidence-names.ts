/** Names and media types of evidence as they may stand in a record, a page and a download. */

const maxNameLength = 120;
const mediaTypePattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$/;
/** A browser would run or interpret these; evidence is looked at, so they are kept as plain text. */
const activeTypes = /(html|svg|xml|script|xsl|css|pdf)/;

/** The last part of a path, without control characters or what file systems and headers take for syntax. */
export function evidenceName(name: string): string {
  const base = name.split(/[/\\]/).at(-1) ?? '';
  const clean = base
    .replace(/[\p{Cc}\p{Cf}\p{Surrogate}\p{Zl}\p{Zp}]/gu, '')
    .replace(/["'<>|:*?;%]/g, '_')
    .replace(/^[.\s]+/, '')
    .trim();
  if (clean === '') return 'evidence';
  return clean.length <= maxNameLength ? clean : shorten(clean);
}

/** The media type in lower case without parameters; octet-stream for what is none, plain text for what would be run. */
export function evidenceMediaType(mediaType: string): string {
  const type = mediaType.split(';', 1)[0]!.trim().toLowerCase();
  if (!mediaTypePattern.test(type)) return 'application/octet-stream';
  return activeTypes.test(type) ? 'text/plain' : type;
}

/** Cuts the middle, so that beginning and extension stay. */
function shorten(name: string): string {
  const characters = [...name];
  return `${characters.slice(0, 80).join('')}…${characters.slice(-20).join('')}`;
}
