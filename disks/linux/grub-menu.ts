/** Which kernel GRUB starts when nobody chooses, from its generated menu (grub.cfg) and its environment block (grubenv). */

interface Entry {
  readonly title: string;
  readonly id: string | null;
  readonly release: string | null;
  readonly children: Entry[];
}

const maxLines = 20_000;

/**
 * The release of the kernel that starts by default; null where the menu is not what update-grub writes. A one-time choice
 * (`next_entry`, from grub-reboot) counts: it is what the next start takes.
 */
export function defaultRelease(menu: string, environment: string): string | null {
  const entries = readMenu(menu);
  const variable = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(environment)?.[1] ?? '';
  const once = menu.includes('${next_entry}') ? variable('next_entry') : '';
  const written = [...menu.matchAll(/^[ \t]*set default="([^"]*)"/gm)].map((line) => line[1]!);
  const standing = written.findLast((value) => value !== '${next_entry}') ?? '0';
  const chosen = once !== '' ? once : standing === '${saved_entry}' ? variable('saved_entry') : standing;
  return choose(entries, chosen === '' ? '0' : chosen)?.release ?? null;
}

/** GRUB's manual, "default": numbers from 0, titles and ids, `>` between a submenu and what is in it. */
function choose(entries: readonly Entry[], path: string): Entry | undefined {
  const words = path.split('>');
  let among = entries;
  for (let depth = 0; ; depth += 1) {
    const word = words[depth] ?? '0';
    const entry = /^\d+$/.test(word)
      ? among[Number(word)]
      : among.find(({ title, id }) => title === word || id === word);
    if (entry === undefined || entry.children.length === 0) return entry;
    among = entry.children;
  }
}

/** update-grub writes one statement a line, and closes each entry with a brace on a line of its own. */
function readMenu(menu: string): Entry[] {
  const root: Entry[] = [];
  const open: { children: Entry[]; entry: { release: string | null } | null }[] = [{ children: root, entry: null }];
  for (const line of menu.split('\n', maxLines)) {
    const head = /^\s*(menuentry|submenu)\s+(?:'([^']*)'|"([^"]*)")(.*)\{\s*$/.exec(line);
    const at = open.at(-1)!;
    if (head !== null) {
      const id = /\$menuentry_id_option\s+'([^']*)'/.exec(head[4]!)?.[1] ?? null;
      const entry = { title: head[2] ?? head[3] ?? '', id, release: null as string | null, children: [] as Entry[] };
      at.children.push(entry);
      open.push({ children: entry.children, entry });
    } else if (/^\s*\}\s*$/.test(line) && open.length > 1) open.pop();
    else if (at.entry !== null) {
      const release = /^\s*linux(?:16|efi)?\s+\S*\/vmlinuz-([A-Za-z0-9.+~_-]+)/.exec(line)?.[1];
      if (release !== undefined) at.entry.release = release;
    }
  }
  return root;
}
