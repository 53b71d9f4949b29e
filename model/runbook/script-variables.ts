/** Which environment variables a script may be given, and which Muster gives it. */

/**
 * Variables by which a program can be made to run other code than its own (loaders, interpreters, shells), or to look for it
 * elsewhere: a runbook names a program that an administrator allows, and must not turn it into another.
 */
const reserved: readonly RegExp[] = [
  /^(LD|DYLD|GCONV|LOCPATH|NLSPATH|MALLOC|GLIBC|HOSTALIASES|RES_OPTIONS|LOCALDOMAIN|RESOLV)($|_)/,
  /^(PATH|HOME|IFS|ENV|CDPATH|SHELL|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|TMPDIR|PWD)$/,
  /^(BASH|ZDOTDIR|PYTHON|PERL|RUBY|GEM|BUNDLE|NODE|NPM|JAVA|_JAVA|JDK|CLASSPATH|LUA|PHP|GIT|SSH|ANSIBLE)/,
  /^(EDITOR|VISUAL|PAGER|BROWSER|LESSOPEN|LESSCLOSE|MANPAGER)$/,
  /^(OPENSSL|SSLKEYLOGFILE|CURL_HOME|WGETRC)/,
];

/** Null: it may be set. Otherwise why not. */
export function variableProblem(name: string, on: 'worker' | 'guest'): string | null {
  if (name.startsWith('MUSTER_')) return 'Muster sets the variables that begin with MUSTER_';
  if (on === 'worker' && reserved.some((form) => form.test(name.toUpperCase()))) {
    return 'it can make a program run other code than its own';
  }
  return null;
}
