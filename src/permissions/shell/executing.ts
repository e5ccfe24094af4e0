import { baseName } from "./command.ts";
import { mayBeOption, UNSEEN } from "./command-pattern.ts";
import { isSimpleSed } from "./sed.ts";

/**
 * Options and arguments by which commands that look harmless run others. They make a line opaque: a rule that allows `git log*` does
 * not mean `git -c core.pager=... log`. Matched against the words after the name, each between two line feeds. Most programs take the
 * beginning of a long option for the whole of it, so only as much of one stands here as tells it from others.
 */
const RUNS_OTHERS: readonly (readonly [names: string, words: RegExp])[] = [
  ["tar bsdtar gtar", /\n(?:--(?:to-c|checkpoint-a|us|rs|rmt|inf|new-)|-[a-zA-Z]*[IF])/],
  ["rsync", /\n(?:-\w*e|--rs)/],
  ["man", /\n(?:-\w*[PHC]|--pa|--ht|--con)/],
  ["less more most", /\n\+|\n-\w*[koO]|\n--(?:les|log|LOG)/],
  ["sort gsort", /\n--co/],
  ["split", /\n--fi/],
  ["nm objdump size strings readelf ar ranlib", /\n--pl/],
  ["rg ripgrep", /\n--(?:pre|hostname-bin)/],
  ["fd fdfind", /\n(?:-\w*[xX]|--exec)/],
  ["ssh scp sftp", /\n-\w*[oFSDWw]|\n-J/],
  ["vi vim nvim view ex ed emacs nano", /[\s\S]/],
  ["gdb lldb", /[\s\S]/],
  ["zip", /\n(?:-TT|--unzip-command)/],
  ["tcpdump", /\n-\w*z/],
  ["make gmake", /\n(?:--ev|-\w*E|SHELL=|MAKEFLAGS=|[\w.]+[:+?!]?=[^\n]*[$`;|&])/],
  ["npm pnpm yarn", /\n--(?:script-|node-o|shell|prefix-exec)/],
  ["cargo", /\n--config/],
  ["go", /\n-{1,2}(?:exec|toolexec|vettool)/],
  ["docker podman", /\n(?:-H|--host|--config)/],
  ["pip pip3", /\n--(?:python|global-option|install-option|config-settings)/],
  ["curl", /\n(?:-\w*K|--conf)/],
  ["wget", /\n--(?:use-askpass|execute|config|output-document)=?.*\brc\b|\n-\w*e/],
  ["strip ld gcc g++ cc clang", /\n-(?:wrapper|fplugin|B|specs|fuse-ld)/],
  ["openssl", /\n-(?:engine|provider-path|config)/],
  ["jq", /\n-\w*L|\n--library-path/],
  [
    "sqlite3",
    /\.(?:shell|system|load|import|output|once|excel|read)\b|load_extension|edit\s*\(|\n-(?:cmd|init)/,
  ],
  ["mysql mariadb", /\\!|\bsystem\b|--pager/],
  ["psql", /\\!|\\o|\\g[^\n]*\||\\copy[^\n]*program|\bprogram\b/i],
];

const RUNS: ReadonlyMap<string, RegExp> = new Map(
  RUNS_OTHERS.flatMap(([names, words]) => names.split(" ").map((name) => [name, words] as const)),
);

/** Why the command may run what cannot be seen; null: as far as is known it does its own work. */
export function executedBy(name: string, words: readonly string[]): string | null {
  const args = words.slice(1);
  if (name === "git") return executedByGit(args);
  if (/^(?:g|m|n)?awk$/.test(name)) return executedByAwk(args);
  if (/^g?sed$/.test(name))
    return isSimpleSed(args) ? null : "a script of sed can run commands and write files";
  if (
    /^(?:zsh|ksh|mksh|fish|csh|tcsh|pwsh|powershell|nu|elvish|xonsh|su|parallel|rush|moreutils-parallel|at|batch|crontab|expect|tclsh|script|tmux|screen)$/.test(
      name,
    )
  ) {
    return `${name} runs what it is given`;
  }
  const pattern = RUNS.get(name);
  if (pattern === undefined) return readsCode(name, args);
  const options = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
  if (options.some(mayBeOption)) return `an option of ${name} is only known when it runs`;
  return pattern.test(`\n${args.join("\n")}`) ? `an option of ${name} can run commands` : null;
}

/** `python` and its like without a file run what they read: `curl ... | python`. */
function readsCode(name: string, args: readonly string[]): string | null {
  if (
    !/^(?:python[\d.]*|pypy\d*|node|nodejs|deno|bun|ruby|perl|php|lua\d*|Rscript|osascript|tclsh|irb|ghci|julia)$/.test(
      name,
    )
  )
    return null;
  if (args.some((arg) => /^--?(?:version|help|V|v|h)$/.test(arg))) return null;
  const operand = args.find((arg) => !/^-./.test(arg));
  if (operand === undefined && !args.some((arg) => /^-\w*[cemEr]|^--(?:eval|print|test|check)/.test(arg)))
    return `${name} runs what it reads`;
  return operand === "-" ||
    operand?.startsWith("/dev/") ||
    (operand?.includes(UNSEEN) && args.indexOf(operand) === 0)
    ? `${name} runs what it reads`
    : null;
}

/** Settings that can be given to git for one command without changing what it starts. */
const HARMLESS_SETTINGS =
  /^(?:user\.(?:name|email)|color\.[\w.]+|advice\.\w+|core\.(?:quotepath|autocrlf|abbrev)|init\.defaultbranch|commit\.gpgsign|tag\.gpgsign|log\.\w+|pull\.(?:rebase|ff)|merge\.ff|push\.default)=/i;

const GIT_RUNS =
  /^(?:--exec-path=.|--config-env|--upload-pack|--receive-pack|--exec|--extcmd|--open-files-in-pager|--ext-diff|--textconv|--template|--gpg-program|--to-cmd|--cc-cmd|--sendmail-cmd|--tree-filter|--index-filter|--msg-filter|--env-filter|--commit-filter|--parent-filter|--tag-name-filter|--setup|--remote-sudo|--open)/;

/** Of those, what a subcommand takes for the whole when it is cut short. */
const GIT_RUNS_CUT =
  "--upload-pack --receive-pack --exec --extcmd --open-files-in-pager --ext-diff --textconv --template".split(
    " ",
  );

function isCutShort(arg: string): boolean {
  const [option = ""] = arg.split("=", 1);
  return option.length > 4 && option !== "--text" && GIT_RUNS_CUT.some((long) => long.startsWith(option));
}

function executedByGit(args: readonly string[]): string | null {
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (mayBeOption(arg)) return "an option of git is only known when it runs";
    if (!arg.startsWith("-")) break;
    if (arg === "-c") {
      if (!HARMLESS_SETTINGS.test(args[at + 1] ?? "")) return "git -c can make git run commands";
      at += 1;
    } else if (/^--(?:git-dir|work-tree|namespace)$/.test(arg) || arg === "-C") at += 1;
    else if (GIT_RUNS.test(arg) || /^-c./.test(arg)) return `git ${arg} can make git run commands`;
  }
  const [subcommand = "", ...rest] = args.slice(at);
  if (rest.some((arg) => GIT_RUNS.test(arg) || isCutShort(arg) || /^(?:ext|fd)::/.test(arg)))
    return `an option of git ${subcommand} can run commands`;
  const runs: Readonly<Record<string, RegExp>> = {
    grep: /^-\w*O/,
    rebase: /^-\w*x/,
    difftool: /./,
    mergetool: /./,
    bisect: /^run$/,
    submodule: /^foreach$/,
    clone: /^-\w*[cu]/,
    "filter-branch": /./,
    "send-email": /./,
    p4: /./,
    daemon: /./,
    instaweb: /./,
    "for-each-repo": /./,
    hook: /^run$/,
    fetch: /^-\w*u$/,
    config:
      /^(?:alias|core\.(?:pager|editor|sshcommand|fsmonitor|hookspath|gitproxy|askpass)|diff\.|difftool|merge|filter|credential|gpg|pager|sequence|uploadpack|receive|protocol|include|url|http|remote|submodule|browser|web|man|interactive|sendemail|init\.templatedir)/i,
  };
  const isSensitive = subcommand in runs || /^(?:pull|push|ls-remote|archive)$/.test(subcommand);
  if (isSensitive && rest.some(mayBeOption))
    return `an option of git ${subcommand} is only known when it runs`;
  return rest.some((arg) => runs[subcommand]?.test(arg)) ? `git ${subcommand} runs what it is given` : null;
}

/** Options whose value is no program: `-F: -v n=1`. */
function executedByAwk(args: readonly string[]): string | null {
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--") {
      at += 1;
      break;
    }
    if (mayBeOption(arg)) return "the program of awk is only known when it runs";
    if (!arg.startsWith("-")) break;
    if (arg === "-F" || arg === "-v") at += 1;
    else if (!/^-[Fv]./.test(arg)) return `awk ${arg} loads a program`;
  }
  const program = args[at] ?? "";
  if (program.includes(UNSEEN)) return "the program of awk is only known when it runs";
  const runs = /\bsystem\b|\bgetline\b|@|print[^;}\n]*[|>]|\|\s*&?\s*getline|\|&/;
  return runs.test(program) ? "a program of awk can run commands or write files" : null;
}

/**
 * Programs that run what their arguments say, in a language or a place that is not looked into: `python -c`, `ssh`, `strace`, `npx`.
 * A rule that names them allows them; one that allows the whole shell does not where something is forbidden.
 */
export function launches(words: readonly string[]): boolean {
  const [first = "", ...args] = words;
  const name = baseName(first);
  if (
    /^(?:python[\d.]*|pypy\d*|node|nodejs|deno|bun|ruby|perl|php|lua\d*|Rscript|osascript|julia)$/.test(name)
  ) {
    return (
      args.some((arg) => /^-\w*[cepErBF]|^--(?:eval|print|run)|^-$/.test(arg) || arg.includes(UNSEEN)) ||
      args.length === 0
    );
  }
  if (/^(?:npm|pnpm|yarn|bun)$/.test(name))
    return args.some((arg) => /^(?:exec|x|dlx|create|init)$/.test(arg));
  if (/^(?:docker|podman|kubectl|oc)$/.test(name))
    return args.some((arg) => /^(?:run|exec|debug|attach)$/.test(arg));
  if (/^(?:poetry|pipenv|uv|bundle|mise|asdf|conda|rye|hatch|pdm|opam|stack)$/.test(name))
    return args.some((arg) => /^(?:run|exec|x)$/.test(arg));
  return LAUNCHERS.has(name);
}

const LAUNCHERS: ReadonlySet<string> = new Set(
  (
    "ssh mosh strace ltrace perf valgrind unshare nsenter setpriv capsh flock rlwrap systemd-run runcon pkexec fakeroot proot " +
    "firejail bwrap npx bunx pnpx uvx pipx nix nix-shell direnv entr inotifywait nodemon concurrently faketime catchsegv taskset chrt " +
    "numactl prlimit cpulimit trickle torsocks proxychains proxychains4 dbus-run-session xvfb-run run-parts start-stop-daemon logsave " +
    "ansible salt pdsh setarch linux32 linux64 i386 x86_64 dotenv cross-env env-cmd sg newgrp hyperfine stdbuf ts pee sponge vipe zrun"
  ).split(" "),
);
