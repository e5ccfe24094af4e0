import { describe, expect, test } from "vitest";
import { bwrapArguments, type SandboxLayout } from "./arguments.ts";

const layout: SandboxLayout = {
  bwrap: "/usr/bin/bwrap",
  agent: "/host/agent",
  workspace: "/host/work space",
  etc: "/host/etc",
  systemPaths: [
    { path: "/bin", link: "usr/bin" },
    { path: "/lib", link: null },
  ],
  hiddenProc: ["/proc/keys"],
  limits: { memoryBytes: 512 * 2 ** 20, processes: 100, fileSizeBytes: 1000, cpus: 1 },
  idleSeconds: 60,
  lifetimeSeconds: 600,
  keptOperations: 1000,
};
const line = bwrapArguments(layout);

/** What protects the host. A change here is a change of what commands can do. */
const required: readonly (readonly [string, readonly string[]])[] = [
  ["no host user", ["--unshare-user", "--uid", "1000", "--gid", "1000"]],
  ["no further user namespaces", ["--disable-userns"]],
  ["no host processes", ["--unshare-pid"]],
  ["no network", ["--unshare-net"]],
  ["no host IPC", ["--unshare-ipc"]],
  ["no capabilities", ["--cap-drop", "ALL"]],
  ["no environment", ["--clearenv"]],
  ["no terminal of the host's", ["--new-session"]],
  ["ends with its launcher", ["--die-with-parent"]],
  ["programs cannot be changed", ["--ro-bind", "/usr", "/usr"]],
  ["/bin is a link where it is one on the host", ["--symlink", "usr/bin", "/bin"]],
  ["/lib cannot be changed where it is a directory", ["--ro-bind", "/lib", "/lib"]],
  ["its own /etc", ["--ro-bind", "/host/etc", "/etc"]],
  ["kernel settings cannot be changed", ["--ro-bind", "/proc/sys", "/proc/sys"]],
  ["hidden files of /proc", ["--ro-bind", "/dev/null", "/proc/keys"]],
  ["/tmp has a size", ["--size", String(128 * 2 ** 20), "--perms", "1777", "--tmpfs", "/tmp"]],
  ["/dev/shm has a size", ["--size", String(64 * 2 ** 20), "--perms", "1777", "--tmpfs", "/dev/shm"]],
  ["the workspace can be written", ["--bind", "/host/work space", "/workspace"]],
  ["everything else cannot", ["--remount-ro", "/dev", "--remount-ro", "/run", "--remount-ro", "/"]],
  ["system calls are filtered", ["--seccomp", "4"]],
  ["the agent is the first process", ["--as-pid-1", "--", "/run/agent", "serve"]],
  ["processes are limited", ["--processes", "108"]],
  ["memory of a process is limited", ["--memory", String(512 * 2 ** 20)]],
  ["files are limited", ["--file-size", "1000"]],
  ["it ends by itself", ["--idle", "60", "--lifetime", "600"]],
  ["what it remembers is limited", ["--operations", "1000"]],
];

describe("bubblewrap's command line", () => {
  test.each(required)("%s", (_name, words) => {
    const at = line.findIndex((_, i) => words.every((word, j) => line[i + j] === word));
    expect(at, `${words.join(" ")} is missing`).toBeGreaterThan(-1);
  });

  test("binds nothing of the host's besides what is named here", () => {
    const bound = line.flatMap((word, i) => (/^--(ro-|dev-)?bind(-try)?$/.test(word) ? [line[i + 1]] : []));
    expect(bound).toEqual([
      "/usr",
      "/lib",
      "/host/etc",
      "/etc/alternatives",
      "/etc/ssl/certs",
      "/etc/ld.so.cache",
      "/proc/sys",
      "/dev/null",
      "/host/agent",
      "/host/work space",
    ]);
  });

  test("closes the root after the last thing was put into it", () => {
    expect(line.lastIndexOf("--remount-ro")).toBeGreaterThan(line.lastIndexOf("--bind"));
  });
});
