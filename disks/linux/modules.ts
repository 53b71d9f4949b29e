/** What the guest's own module index says: which modules exist, what they need, which are built into the kernel. */

/** Module names know no difference between `-` and `_` (kmod). */
export function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.ko(\.(xz|zst|gz))?$/, '')
    .replaceAll('-', '_');
}

export interface ModuleIndex {
  /** name -> path relative to the modules' folder. */
  readonly paths: ReadonlyMap<string, string>;
  /** name -> names of all that must be loaded before it. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
  readonly builtin: ReadonlySet<string>;
}

const safePath = /^[A-Za-z0-9_.,+-]+(\/[A-Za-z0-9_.,+-]+)*$/;

/** Reads modules.dep (`path: path path`) and modules.builtin. Lines with unsafe paths are left out: the guest wrote them. */
export function parseModuleIndex(dep: string, builtin: string): ModuleIndex {
  const paths = new Map<string, string>();
  const needs = new Map<string, string[]>();
  for (const line of dep.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const path = line.slice(0, colon).trim();
    if (!isSafe(path)) continue;
    paths.set(moduleName(path), path);
    needs.set(
      moduleName(path),
      line
        .slice(colon + 1)
        .split(/\s+/)
        .filter(isSafe)
        .map(moduleName),
    );
  }
  return {
    paths,
    needs,
    builtin: new Set(
      builtin
        .split('\n')
        .map((line) => line.trim())
        .filter(isSafe)
        .map(moduleName),
    ),
  };
}

const isSafe = (path: string) => safePath.test(path) && !path.split('/').includes('..');

/** soft dependencies (modules.softdep): wanted beside a module, loaded before or after it when they exist. */
export function parseSoftDependencies(text: string): Map<string, string[]> {
  const wanted = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const match = /^softdep\s+(\S+)\s+(.*)$/.exec(line.trim());
    if (match === null) continue;
    const names = match[2]!.split(/\s+/).filter((word) => word !== '' && word !== 'pre:' && word !== 'post:');
    wanted.set(moduleName(match[1]!), names.map(moduleName));
  }
  return wanted;
}

export interface Closure {
  /** Paths of the modules and of everything that they need, dependencies first, without what is built in. */
  readonly paths: readonly string[];
  /** Asked for or needed, and neither there nor built in. */
  readonly absent: readonly string[];
}

/** Everything that these modules need, from the guest's index. A closed ring of dependencies (hostile) ends. */
export function closureOf(names: readonly string[], index: ModuleIndex, soft = new Map<string, string[]>()): Closure {
  const paths: string[] = [];
  const absent: string[] = [];
  const seen = new Set<string>();
  // What is still to be done, the next one last: a chain may be longer than calls can be nested.
  const todo: ({ readonly name: string; readonly optional: boolean } | { readonly path: string })[] = names
    .map((name) => ({ name: name.replaceAll('-', '_'), optional: false }))
    .reverse();
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if ('path' in next) {
      paths.push(next.path);
      continue;
    }
    const { name, optional } = next;
    if (seen.has(name) || index.builtin.has(name)) continue;
    seen.add(name);
    const path = index.paths.get(name);
    if (path === undefined) {
      if (!optional) absent.push(name);
      continue;
    }
    todo.push({ path });
    for (const wanted of [...(soft.get(name) ?? [])].reverse()) todo.push({ name: wanted, optional: true });
    // modules.dep lists the last dependency first.
    for (const needed of index.needs.get(name) ?? []) todo.push({ name: needed, optional: false });
  }
  return { paths, absent };
}
