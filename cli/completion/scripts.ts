/**
 * Completion scripts. Each holds the table of commands, so that no process is started for what is fixed; names of servers
 * and ids of runs are asked from `muster __complete`, which says nothing when it cannot answer at once.
 *
 * All three do the same: walk the words before the cursor to the command they lead to, minding flags that take a value;
 * then offer what can stand there. Of the packages that do this for commander, @bomb.sh/tab (0.0.22) answers in the same
 * tick only, so it cannot ask the API, and omelette and tabtab know nothing of commander's options.
 */
import { quoted, rowsOf, type Row } from './table';
import type { Place } from './tree';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** The script for `eval`, or for the folder that `muster completion --help` names. */
export function completionScript(shell: Shell, places: readonly Place[]): string {
  const rows = rowsOf(places);
  switch (shell) {
    case 'bash':
      return bashScript(rows);
    case 'zsh':
      return zshScript(rows);
    case 'fish':
      return fishScript(places);
  }
}

const arrayOf = (rows: readonly Row[]): string =>
  rows.map(({ key, value }) => `    [${quoted(key)}]=${quoted(value)}`).join('\n');

function bashScript(rows: readonly Row[]): string {
  return `# Completion of muster for bash 4.2 or later. Made by: muster completion bash
_muster() {
  local -A t=(
${arrayOf(rows)}
  )
  local cur=\${COMP_WORDS[COMP_CWORD]} path=muster expect= position=0 i w offered=
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    w=\${COMP_WORDS[i]}
    if [[ $w == = ]]; then continue; fi
    if [[ -n $expect ]]; then expect=; continue; fi
    if [[ $w == -* ]]; then
      if [[ -n \${t["v:$path $w"]+set} ]]; then expect="v:$path $w"; fi
    elif [[ -n \${t["c:$path $w"]+set} ]]; then path="$path $w"; position=0
    else position=$((position + 1)); fi
  done
  if [[ $cur == = ]]; then cur=; fi
  if [[ -z $expect && $cur == -* ]]; then offered=\${t["o:$path"]}
  else
    if [[ -z $expect ]]; then
      offered=\${t["c:$path"]-}
      expect="v:$path #$((position + 1))"
    fi
    case \${t[$expect]-} in
      choices:*) offered+=" \${t[$expect]#choices:}" ;;
      ask:*) offered+=" $("\${COMP_WORDS[0]}" __complete "\${t[$expect]#ask:}" 2>/dev/null | cut -f1)" ;;
      files) compopt -o default 2>/dev/null; return ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$cur")
}
complete -F _muster muster
`;
}

function zshScript(rows: readonly Row[]): string {
  return `#compdef muster
# Completion of muster for zsh 5 or later. Made by: muster completion zsh
_muster() {
  emulate -L zsh
  local -A t=(
${rows.map(({ key, value }) => `    ${quoted(key)} ${quoted(value)}`).join('\n')}
  )
  local cur=\${words[CURRENT]} at=muster expect= w
  local -i position=0 i
  local -a offered=()
  for ((i = 2; i < CURRENT; i++)); do
    w=\${words[i]}
    if [[ -n $expect ]]; then expect=; continue; fi
    if [[ $w == -* ]]; then
      if (( \${+t[v:$at $w]} )); then expect="v:$at $w"; fi
    elif (( \${+t[c:$at $w]} )); then at="$at $w"; position=0
    else position+=1; fi
  done
  if [[ -z $expect && $cur == -* ]]; then offered=(\${=t[o:$at]})
  else
    if [[ -z $expect ]]; then
      offered=(\${=t[c:$at]})
      expect="v:$at #$((position + 1))"
    fi
    case \${t[$expect]} in
      choices:*) offered+=(\${=t[$expect]#choices:}) ;;
      ask:*) offered+=(\${(f)"$("\${words[1]}" __complete \${t[$expect]#ask:} 2>/dev/null | cut -f1)"}) ;;
      files) _files; return ;;
    esac
  fi
  compadd -- $offered
}
if [[ \${funcstack[1]} == _muster ]]; then _muster "$@"; else compdef _muster muster; fi
`;
}

/** fish shows a description beside each word, so its table has a line for each word. */
function fishScript(places: readonly Place[]): string {
  const cases = places.map(
    ({ path, commands }) => `    case ${quoted(path)}\n${commands.map(fishWord).join('\n') || '      true'}`,
  );
  const flags = places.map(({ path, options }) => `    case ${quoted(path)}\n${options.map(fishWord).join('\n')}`);
  const values = rowsOf(places)
    .filter(({ key }) => key.startsWith('v:'))
    .map(({ key, value }) => `    case ${quoted(key)}\n      echo ${quoted(value)}`);
  return `# Completion of muster for fish 3. Made by: muster completion fish
function __muster_commands
  switch $argv[1]
${cases.join('\n')}
  end
end
function __muster_flags
  switch $argv[1]
${flags.join('\n')}
  end
end
function __muster_values
  switch $argv[1]
${values.join('\n')}
  end
end
function __muster
  set -l words (commandline -opc)
  set -l cur (commandline -ct)
  set -l path muster
  set -l expect ''
  set -l position 0
  for w in $words[2..-1]
    if test -n "$expect"
      set expect ''
      continue
    end
    if string match -q -- '-*' $w
      if test -n "$(__muster_values "v:$path $w")"
        set expect "v:$path $w"
      end
    else if __muster_commands $path | string match -qr -- '^'(string escape --style=regex -- $w)'\\t'
      set path "$path $w"
      set position 0
    else
      set position (math $position + 1)
    end
  end
  if test -z "$expect"; and string match -q -- '-*' $cur
    __muster_flags $path
    return
  end
  if test -z "$expect"
    __muster_commands $path
    set expect "v:$path #"(math $position + 1)
  end
  set -l values (__muster_values $expect)
  switch "$values"
    case 'choices:*'
      string replace 'choices:' '' -- $values | string split ' '
    case 'ask:*'
      $words[1] __complete (string replace 'ask:' '' -- $values) 2>/dev/null
    case files
      __fish_complete_path $cur
  end
end
complete -c muster -f -a '(__muster)'
`;
}

const fishWord = ({ word, description }: { readonly word: string; readonly description: string }): string =>
  `      printf '%s\\t%s\\n' ${fishQuoted(word)} ${fishQuoted(description)}`;

/** In fish's single quotes a backslash escapes a quote and itself. */
const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
