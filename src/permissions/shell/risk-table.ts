import type { Risk } from "../../log/entry.ts";
import { UNSEEN } from "./command-pattern.ts";

/**
 * What is known of commands. For each the first row that fits; a command in no row may do whatever its sandbox lets it do
 * (hard, session). The same table, for people, stands in docs/permissions.md; a test compares them.
 */
export interface RiskRow extends Pick<Risk, "reversibility" | "reach"> {
  /** Names, separated by spaces. */
  readonly commands: string;
  /** The row fits only if this is found in the arguments. Each is preceded by a line feed. */
  readonly when?: RegExp;
  /** The row does not fit if this is found in them, or could be hidden in one that is not seen. */
  readonly unless?: RegExp;
  /** Reaches as far as the paths among its arguments. */
  readonly changesFiles?: true;
  /** For people: what makes it so. */
  readonly why: string;
}

const reads = { reversibility: "none", reach: "workspace", why: "it only reads" } as const;
const files = { reversibility: "undoable", reach: "workspace", changesFiles: true } as const;
const outside = (reversibility: Risk["reversibility"], why: string) => ({
  reversibility,
  reach: "outside" as const,
  why,
});

export const riskTable: readonly RiskRow[] = [
  // Shell: nothing but text, numbers and control flow. What variables and options of the shell can do is seen elsewhere.
  {
    commands:
      "echo printf true false : test [ pwd exit return break continue shift wait sleep seq yes cd pushd popd dirs umask ulimit times type let local declare typeset export readonly unset set read mapfile readarray getopts jobs caller trap eval hash",
    ...reads,
  },
  { commands: "command", when: /\n-[vV]/, ...reads },
  // Reading
  {
    commands:
      "ls cat head tail wc cut tr nl tac rev fold fmt paste join comm column expand unexpand od hexdump strings basename dirname realpath readlink stat du df which whereis whoami id groups uname arch nproc free uptime ps pgrep cal printenv env locale getconf tty cksum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum sum base32 base64 cmp diff diff3 grep egrep fgrep zcat zgrep bzcat xzcat zstdcat lsblk lscpu lsof look expr factor bc numfmt tsort jq nm objdump readelf size getent lsattr getfacl pstree vmstat",
    ...reads,
  },
  { commands: "date", unless: /\n(?:-\w*s|--s)/, ...reads },
  { commands: "hostname exec", unless: /\n/, ...reads },
  { commands: "file", unless: /\n(?:-\w*C|--comp)/, ...reads },
  { commands: "xxd", unless: /\n-\w*r|\n[^-\n][^\n]*\n[^-]/, ...reads },
  { commands: "sort", unless: /\n(?:-\w*o|--o|--compress-p|-\w*T|--temp)/, ...reads },
  { commands: "uniq", unless: /\n[^-\n][^\n]*\n[^-\n]/, ...reads },
  {
    commands: "rg ag ack fd fdfind",
    unless: /\n(?:--pre|--hostname-bin|-\w*[xX]|--exec|--pager|--output|--env|--noenv|--ackrc)/,
    ...reads,
  },
  { commands: "find", unless: /\n-(?:delete|exec|execdir|ok|okdir|fls|fprint0?|fprintf)(?:\n|$)/, ...reads },
  { commands: "tree", unless: /\n(?:-\w*o|-\w*R)/, ...reads },
  { commands: "sed", when: /\n(?:-[a-zA-Z]*i|--in-place|-s?i)/, ...files, why: "sed -i changes files" },
  { commands: "sed", unless: /\n(?:-\w*i|--in-place)/, ...reads },
  {
    commands: "awk gawk mawk nawk",
    unless: /print[^;}\n]*>|\n-[iElfo]|\n--(?!version)|system|getline|@/,
    ...reads,
  },
  { commands: "yq", unless: /\n(?:-\w*i|--inplace|--split-exp|-\w*s)/, ...reads },
  { commands: "man less more", unless: /\n(?:[+]|-\w*[PHoOkC]|--)/, ...reads },
  { commands: "xmllint", unless: /\n--(?:output|shell)|\n-\w*o/, ...reads },
  {
    commands: "tar bsdtar",
    // GNU tar asks another machine by rsh for a file with a colon before any slash.
    when: new RegExp(`\\n[^/\\n]*[:${UNSEEN}]`),
    ...outside("hard", "an archive may lie on another machine: host:file"),
  },
  {
    commands: "tar bsdtar",
    when: /\n-?-?(?:[a-zA-Z]*t[a-zA-Z]*|list)\n/,
    unless:
      /\n(?:--(?:to-c|checkpoint|use-c|rsh|info|new-v|delete|append|create|extract|get|update)|-[a-zA-Z]*[IFxcru])/,
    ...reads,
  },
  { commands: "unzip", when: /\n-[lZtv]+\n/, ...reads },
  {
    commands: "git",
    when: /^(?:\n(?:--no-pager|--no-optional-locks|-C\n(?![/~]|\.\.)[^\n\0]+))*\n(?:status|log|show|diff|blame|annotate|shortlog|describe|rev-parse|rev-list|ls-files|ls-tree|cat-file|grep|name-rev|merge-base|cherry|count-objects|whatchanged|check-ignore|diff-tree|diff-index|range-diff|show-ref|for-each-ref|var|version|verify-commit)(?:\n|$)/,
    unless:
      /\n(?:--ou|--ext-diff|--textconv|-\w*O|--open|--exec|--upload|-c\n|--config-env|--git-dir|--work-tree|--web|-w$)/,
    ...reads,
  },
  {
    commands: "git",
    when: /^\n(?:branch|tag|remote|stash|worktree|config|reflog|notes|submodule)(?:\n(?:-v{1,2}|-a|-r|--list|-l|show|list|get-url|status|--show-current|--get|--get-all|get)(?=\n|$))(?:\n[^-\0][^\n]*)?$/,
    unless: /^\n(?:branch|tag|remote)\n(?:-a|-r|-v{1,2})\n[^-]/,
    ...reads,
  },
  { commands: "git", when: /^\n(?:branch|remote|tag|reflog)$/, ...reads },
  {
    commands: "npm pnpm yarn",
    when: /^\n(?:ls|list|outdated|-v|--version|root|prefix|why|explain|query)(?:\n(?!-)[^\n]*|\n(?:--depth=\d+|-g|--global|--all|--json|--depth\n\d+))*$/,
    ...reads,
  },
  {
    commands:
      "node python python3 ruby perl php go cargo rustc java javac gcc g++ clang make cmake deno bun docker kubectl terraform pip pip3 uv poetry tsc npx gh aws curl wget ssh psql jq yq rg",
    when: /^\n(?:--version|-V|version)$/,
    unless: /\nsystem/,
    ...reads,
  },
  { commands: "pip pip3", when: /^\n(?:list|show|freeze)(?:\n|$)/, unless: /\n--(?:python|log)/, ...reads },
  { commands: "go", when: /^\n(?:env|list|doc)(?:\n|$)/, unless: /\n-(?:w|u|exec|toolexec|mod)/, ...reads },
  { commands: "cargo", when: /^\n(?:tree|metadata|search)(?:\n|$)/, unless: /\n--config/, ...reads },
  { commands: "kill pkill killall", reversibility: "hard", reach: "session", why: "it ends processes" },

  // Files of the workspace
  { commands: "mkdir touch tee", ...files, why: "it makes files or directories" },
  { commands: "cp install ln", ...files, why: "it makes or replaces files" },
  { commands: "mv", ...files, why: "it moves files, and replaces what is there" },
  { commands: "rmdir", ...files, why: "it removes empty directories" },
  { commands: "chmod", ...files, why: "it changes who may use files" },
  { commands: "patch", ...files, reversibility: "hard", why: "a patch names the files that it changes" },
  {
    commands: "gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd split csplit",
    ...files,
    why: "it replaces or makes files",
  },
  { commands: "sort uniq tree", ...files, why: "it writes its result into a file" },
  {
    commands: "tar bsdtar unzip zip cpio 7z ar",
    ...files,
    reversibility: "hard",
    why: "an archive names the files that it makes or replaces",
  },
  {
    commands: "rm",
    when: /\n(?:-\w*[rR]|--r)/,
    ...files,
    reversibility: "irreversible",
    why: "rm -r deletes directories",
  },
  { commands: "rm unlink", ...files, reversibility: "hard", why: "rm deletes files" },
  { commands: "truncate", ...files, reversibility: "hard", why: "truncate cuts files off" },
  {
    commands: "shred srm wipe",
    ...files,
    reversibility: "irreversible",
    why: "shred makes files unreadable for good",
  },
  {
    commands: "find",
    when: /\n-delete(?:\n|$)/,
    ...files,
    reversibility: "irreversible",
    why: "find -delete deletes what it finds",
  },
  {
    commands: "find",
    when: /\n-(?:fls|fprint0?|fprintf)\n/,
    ...files,
    reversibility: "hard",
    why: "find writes into a file",
  },
  {
    commands: "find",
    reversibility: "none",
    reach: "workspace",
    why: "what it starts is looked at by itself",
  },
  {
    commands: "dd",
    when: /\nof=/,
    ...files,
    reversibility: "irreversible",
    why: "dd overwrites what it writes to",
  },
  { commands: "dd", ...reads },
  {
    commands: "mkfs mkfs.ext4 mkfs.xfs mkfs.btrfs mkswap fdisk parted sfdisk wipefs blkdiscard",
    reversibility: "irreversible",
    reach: "outside",
    why: "it overwrites a disk",
  },
  {
    commands: "chown chgrp setfacl chattr mount umount",
    reversibility: "hard",
    reach: "session",
    why: "it changes the system",
  },
  {
    commands: "reboot shutdown halt poweroff init systemctl service",
    reversibility: "hard",
    reach: "outside",
    why: "it changes what runs on the machine",
  },

  // Git
  {
    commands: "git",
    when: /\n(?:push)\n(?:.*\n)*(?:-\w*[fd]|--force|--delete|--mirror|--prune|\+|:)/,
    ...outside("irreversible", "git push --force replaces or deletes what others have"),
  },
  { commands: "git", when: /\npush(?:\n|$)/, ...outside("hard", "git push publishes commits") },
  {
    commands: "git",
    when: /\n(?:fetch|pull|clone|ls-remote|remote\nupdate|submodule\nupdate|archive\n--remote)(?:\n|$)/,
    ...outside("hard", "git talks to another machine"),
  },
  {
    commands: "git",
    when: /\nclean(?:\n|$)/,
    reversibility: "irreversible",
    reach: "workspace",
    why: "git clean deletes files that git does not know",
  },
  {
    commands: "git",
    when: /\n(?:reset\n(?:.*\n)*--(?:hard|merge|keep)|checkout\n(?:.*\n)*(?:-f|--force|--|\.)|restore|switch\n(?:.*\n)*(?:-f|--force|--discard)|stash\n(?:drop|clear)|branch\n(?:.*\n)*(?:-D|-d|-f|-M)|tag\n(?:.*\n)*-[df]|update-ref|filter-branch|gc|prune|reflog\n(?:expire|delete)|rebase|worktree\nremove)/,
    reversibility: "hard",
    reach: "workspace",
    why: "git throws away changes or commits",
  },
  {
    commands: "git",
    when: /\n(?:add|commit|mv|stash|branch|tag|merge|cherry-pick|revert|checkout|switch|init|apply|am|reset)(?:\n|$)/,
    reversibility: "hard",
    reach: "workspace",
    why: "git changes the repository, and may run its hooks",
  },
  {
    commands: "gh glab hub",
    when: /\n(?:delete|merge|close|archive|transfer|revoke)(?:\n|$)|\n-X\n?DELETE/,
    ...outside("irreversible", "it changes what others see, and cannot be called back"),
  },
  { commands: "gh glab hub", ...outside("hard", "it acts on a service outside") },

  // Publishing and packages
  {
    commands: "npm pnpm yarn bun",
    when: /\n(?:publish|unpublish|deprecate|dist-tag|owner|access)(?:\n|$)/,
    ...outside("irreversible", "it publishes a package"),
  },
  {
    commands: "cargo",
    when: /\n(?:publish|yank|owner)(?:\n|$)/,
    ...outside("irreversible", "it publishes a package"),
  },
  {
    commands: "twine gem mvn gradle gradlew poetry uv flit hatch pdm dotnet nuget composer lerna changeset",
    when: /\n(?:upload|push|deploy|publish|yank|release)(?:\n|$)|publish/,
    ...outside("irreversible", "it publishes a package"),
  },
  {
    commands:
      "npm pnpm yarn bun pip pip3 uv poetry cargo gem bundle composer apt apt-get dnf yum apk pacman brew go",
    when: /\n(?:i|install|ci|add|update|upgrade|remove|uninstall|get|sync|dist-upgrade|fetch|download|mod)(?:\n|$)/,
    ...outside("hard", "it fetches packages and may run what is in them"),
  },
  { commands: "npx bunx pnpx uvx pipx", ...outside("hard", "it fetches a package and runs it") },

  // Network
  {
    commands: "curl wget",
    when: /\n(?:-X\n?|--request[=\n]|--method[=\n])DELETE/i,
    ...outside("irreversible", "it deletes something on another machine"),
  },
  {
    commands: "curl wget",
    when: /\n(?:-\w*[dFT]|--data|--form|--json|--upload|--post|--body|(?:-\w*X\n?|--request[=\n]|--method[=\n])(?!GET|HEAD))/i,
    ...outside("hard", "it sends data to another machine"),
  },
  {
    commands:
      "curl wget http https xh aria2c ftp lynx w3m ping dig nslookup host whois traceroute nc ncat netcat socat telnet openssl",
    ...outside("hard", "it talks to another machine"),
  },
  { commands: "ssh mosh", ...outside("hard", "it runs commands on another machine") },
  { commands: "scp sftp rsync rclone", ...outside("hard", "it copies files from or to another machine") },
  { commands: "mail mailx sendmail mutt msmtp swaks", ...outside("irreversible", "it sends mail") },

  // Services
  {
    commands: "psql mysql mariadb sqlite3 sqlcmd mongosh mongo redis-cli clickhouse-client cqlsh bq",
    when: /\b(?:drop|truncate|flushall|flushdb|dropdatabase|deletemany)\b|\bdelete\s+from\s+[\w."`]+\s*(?:;|"|'|$)|\bupdate\s+(?:(?!\bwhere\b)[^;])*$/im,
    ...outside("irreversible", "it deletes data of a database"),
  },
  {
    commands:
      "psql mysql mariadb sqlcmd mongosh mongo redis-cli clickhouse-client cqlsh bq pg_dump pg_restore mysqldump",
    ...outside("hard", "it works on a database"),
  },
  { commands: "dropdb dropuser", ...outside("irreversible", "it deletes a database") },
  {
    commands: "terraform tofu pulumi terragrunt",
    when: /\n(?:destroy|apply|up|import|state|taint)(?:\n|$)/,
    ...outside("irreversible", "it changes or destroys infrastructure"),
  },
  {
    commands: "kubectl oc helm",
    when: /\n(?:delete|drain|uninstall|replace|evict)(?:\n|$)/,
    ...outside("irreversible", "it deletes what runs in a cluster"),
  },
  {
    commands: "aws gcloud az doctl heroku fly flyctl vercel netlify wrangler firebase s3cmd gsutil",
    when: /\n(?:[\w-]*-)?(?:delete|rm|rb|terminate|destroy|purge|remove|deregister|revoke)(?:-[\w-]*)?(?:\n|$)|:destroy|--delete/,
    ...outside("irreversible", "it deletes something of a cloud account"),
  },
  {
    commands:
      "terraform tofu pulumi terragrunt kubectl oc helm aws gcloud az doctl heroku fly flyctl vercel netlify wrangler firebase s3cmd gsutil ansible ansible-playbook",
    ...outside("hard", "it acts on machines outside"),
  },
  {
    commands: "docker podman",
    when: /\n(?:push|login)(?:\n|$)/,
    ...outside("hard", "it publishes an image"),
  },
  {
    commands: "docker podman docker-compose",
    when: /\n(?:rm|rmi|prune|down|kill|volume)(?:\n|$)/,
    reversibility: "irreversible",
    reach: "outside",
    why: "it deletes containers, images or volumes",
  },
  {
    commands: "docker podman docker-compose",
    ...outside("hard", "it runs containers outside of the sandbox"),
  },
  {
    commands: "sudo doas su runuser pkexec chroot",
    reversibility: "hard",
    reach: "session",
    why: "it acts as another user",
  },
];
