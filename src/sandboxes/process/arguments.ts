import type { SandboxLimits } from "../sandbox.ts";

/** Everything that decides how bubblewrap is called; paths as bubblewrap's own process sees them. */
export interface SandboxLayout {
  readonly bwrap: string;
  readonly agent: string;
  readonly workspace: string;
  /** Directory that becomes /etc. */
  readonly etc: string;
  /** What the host has at /bin, /lib and so on: links into /usr, or directories (`link` is null) of systems that keep them apart. */
  readonly systemPaths: readonly { readonly path: string; readonly link: string | null }[];
  /** Those of `HIDDEN_PROC` that this kernel has and shows to everybody. */
  readonly hiddenProc: readonly string[];
  readonly limits: SandboxLimits;
  readonly idleSeconds: number;
  readonly lifetimeSeconds: number;
  readonly keptOperations: number;
}

/** Files of /proc that tell about the host and that no command needs. */
export const HIDDEN_PROC: readonly string[] = [
  "/proc/cmdline",
  "/proc/config.gz",
  "/proc/interrupts",
  "/proc/kallsyms",
  "/proc/kcore",
  "/proc/key-users",
  "/proc/keys",
  "/proc/kmsg",
  "/proc/modules",
  "/proc/sched_debug",
  "/proc/sysrq-trigger",
  "/proc/timer_list",
  "/proc/vmallocinfo",
];

const MEBIBYTE = 2 ** 20;
/** The agent, the keepers of commands and bubblewrap itself, on top of what commands may have. */
export const OWN_PROCESSES = 8;
/** Descriptor with the seccomp filter; the launcher puts it there. */
const SECCOMP_FD = 4;

/** The command line of bubblewrap, from its path to the agent's last argument. */
export function bwrapArguments(layout: SandboxLayout): readonly string[] {
  return [
    layout.bwrap,
    ...namespaces,
    ...system(layout),
    ...devices(layout),
    ...["--ro-bind", layout.agent, "/run/agent"],
    ...["--bind", layout.workspace, "/workspace", "--chdir", "/workspace"],
    ...["--remount-ro", "/dev", "--remount-ro", "/run", "--remount-ro", "/"],
    ...["--seccomp", String(SECCOMP_FD), "--as-pid-1", "--"],
    ...agentArguments(layout),
  ];
}

const namespaces: readonly string[] = [
  ...["--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns"],
  ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"],
  ...["--hostname", "sandbox", "--new-session", "--die-with-parent"],
  ...["--cap-drop", "ALL", "--clearenv"],
];

function system(layout: SandboxLayout): readonly string[] {
  return [
    ...["--ro-bind", "/usr", "/usr"],
    ...layout.systemPaths.flatMap(({ path, link }) =>
      link === null ? ["--ro-bind", path, path] : ["--symlink", link, path],
    ),
    ...["--ro-bind", layout.etc, "/etc"],
    ...["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"],
    ...["--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs"],
    ...["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"],
    ...["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"],
    ...layout.hiddenProc.flatMap((path) => ["--ro-bind", "/dev/null", path]),
  ];
}

/** Without a size, what is written to these would only be limited by the machine's memory. */
function devices(layout: SandboxLayout): readonly string[] {
  const tmp = Math.max(16 * MEBIBYTE, Math.min(256 * MEBIBYTE, Math.floor(layout.limits.memoryBytes / 4)));
  const shm = Math.min(64 * MEBIBYTE, tmp);
  return [
    ...["--dev", "/dev", "--size", String(shm), "--perms", "1777", "--tmpfs", "/dev/shm"],
    ...["--size", String(tmp), "--perms", "1777", "--tmpfs", "/tmp"],
    ...["--size", String(MEBIBYTE), "--tmpfs", "/run"],
  ];
}

function agentArguments(layout: SandboxLayout): readonly string[] {
  const { limits, idleSeconds, lifetimeSeconds, keptOperations } = layout;
  return [
    ...["/run/agent", "serve"],
    ...["--processes", String(limits.processes + OWN_PROCESSES)],
    ...["--memory", String(limits.memoryBytes)],
    ...["--file-size", String(limits.fileSizeBytes)],
    ...["--idle", String(idleSeconds), "--lifetime", String(lifetimeSeconds)],
    ...["--operations", String(keptOperations)],
  ];
}
