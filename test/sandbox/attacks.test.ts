import { strict as assert } from "node:assert";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, test } from "vitest";
import { isAppError } from "../../src/lib/errors.ts";
import { encodeFields, encodeFrame, request } from "../../src/sandboxes/process/frames.ts";
import type { Sandbox, SandboxSpec } from "../../src/sandboxes/sandbox.ts";
import { execSpec, type Finished, processHost, run } from "./process-sandbox.ts";

/** What hostile commands try. Each row says what it does and what must come of it; afterwards the sandbox must still work. */
interface Attack {
  readonly name: string;
  readonly attempt: (target: Target) => Promise<void>;
}

interface Target {
  readonly sandbox: Sandbox;
  readonly spec: SandboxSpec;
  readonly neighbour: SandboxSpec;
}

const host = processHost();
const probe = await host.driver.probe();
if (!probe.available) console.warn(`attacks not tested: ${probe.problem?.reason} (${probe.problem?.fix})`);
const hasPython = existsSync("/usr/bin/python3");

const attacks: readonly Attack[] = [
  prints(
    "reading the host's password hashes",
    "cat /etc/shadow /etc/sudoers; ls -A /root /home /var /boot /sys",
  ),
  prints(
    "reading the environment of other processes",
    "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a CANARY",
  ),
  prints(
    "looking into the agent",
    "cat /proc/1/environ /proc/1/mem /proc/1/maps; ls /proc/1/fd /proc/1/cwd/; readlink /proc/1/exe /proc/1/root",
  ),
  shell("seeing the host's processes", "echo /proc/[0-9]*", ({ stdout }) => {
    assert.ok(stdout.split(" ").length <= 5, stdout);
  }),
  shell("signalling a host process", `kill -9 ${process.pid}; kill -9 ${process.ppid}`, ({ stderr }) => {
    assert.match(stderr, /No such process/);
  }),
  shell(
    "ending or stopping the agent",
    "kill -9 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; echo past",
    ({ stdout }) => assert.equal(stdout, "past\n"),
  ),
  shell("ending everything in reach", "kill -9 -1", ({ result }) => assert.equal(result.exitCode, null)),
  {
    name: "stopping one's own keeper",
    async attempt({ sandbox }) {
      const { result } = await run(sandbox, "kill -STOP $PPID; setsid sleep 50 & sleep 50", {
        timeoutMs: 500,
      });
      assert.equal(result.timedOut, true);
      assert.ok(result.durationMs < 3000, `${result.durationMs}`);
      await nothingRuns(sandbox);
    },
  },
  {
    name: "killing one's own keeper and leaving a daemon",
    async attempt({ sandbox }) {
      const spec = execSpec("(setsid sleep 50 > /dev/null 2>&1 &) ; kill -9 $PPID; sleep 50", {
        timeoutMs: 5000,
      });
      const execution = await sandbox.exec(spec);
      await execution.result;
      await nothingRuns(sandbox);
    },
  },
  {
    name: "reaching a server on the host",
    async attempt({ sandbox }) {
      let connections = 0;
      const server = createServer(() => (connections += 1)).listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      assert.ok(address !== null && typeof address === "object");
      const { result } = await run(sandbox, `echo x > /dev/tcp/127.0.0.1/${address.port}`);
      server.close();
      assert.notEqual(result.exitCode, 0);
      assert.equal(connections, 0);
    },
  },
  fails("reaching the metadata service", "timeout 3 bash -c 'echo x > /dev/tcp/169.254.169.254/80'"),
  fails("resolving a name", "timeout 5 getent hosts example.com"),
  fails("sending a datagram", "timeout 3 bash -c 'echo x > /dev/udp/8.8.8.8/53'"),
  {
    name: "writing outside of the workspace",
    async attempt({ sandbox, spec, neighbour }) {
      const places = [
        "/x",
        "/usr/x",
        "/etc/x",
        "/etc/passwd",
        "/run/x",
        "/dev/x",
        "/run/agent",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/x",
        join(spec.workspace, "../x"),
        join(neighbour.workspace, "x"),
      ];
      const script = places.map((place) => `(echo x > '${place}') 2>/dev/null && echo 'wrote ${place}'`);
      const { stdout } = await run(sandbox, script.join("\n"));
      assert.deepEqual(stdout, "");
      assert.deepEqual(await readdir(neighbour.workspace), []);
    },
  },
  {
    name: "forking without end",
    async attempt({ sandbox }) {
      const { result } = await run(sandbox, ":(){ :|:& };: ; sleep 60", { timeoutMs: 1500 });
      assert.ok(result.timedOut || result.exitCode !== 0);
      await nothingRuns(sandbox);
    },
  },
  {
    name: "a chain of processes that fork and exit",
    async attempt({ sandbox }) {
      const link = 'f() { (setsid bash -c "$(declare -f f); f" >/dev/null 2>&1 &) ; exit; }; f';
      const execution = await sandbox.exec(
        execSpec(`bash -c '${link}'; sleep 0.3; echo done`, { timeoutMs: 5000 }),
      );
      await execution.result;
      await nothingRuns(sandbox);
    },
  },
  {
    name: "filling memory",
    async attempt({ sandbox }) {
      // `tail` must hold what it is to print: more than the sandbox may have.
      const hoard = "head -c 600M /dev/zero | tail -c 500M > /dev/null; exit $" + "{PIPESTATUS[1]}";
      const { result } = await run(sandbox, hoard, { timeoutMs: 15_000 });
      assert.notEqual(result.exitCode, 0, "500 MB fitted into 256 MB");
      assert.equal(result.timedOut, false);
    },
  },
  {
    name: "filling the file systems that live in memory",
    async attempt({ sandbox }) {
      const { stdout } = await run(
        sandbox,
        "for i in $(seq 40); do head -c 15M /dev/zero > /tmp/$i; head -c 15M /dev/zero > /dev/shm/$i; done 2>/dev/null; " +
          "du -sm /tmp /dev/shm | cut -f1 | paste -sd+ | bc 2>/dev/null || du -sm /tmp /dev/shm; rm -f /tmp/* /dev/shm/*",
        { timeoutMs: 20_000 },
      );
      for (const size of stdout.matchAll(/^\d+/gm)) assert.ok(Number(size[0]) <= 256, stdout);
      await run(sandbox, "rm -f /tmp/* /dev/shm/*");
    },
  },
  {
    name: "a file beyond the limit",
    async attempt({ sandbox, spec }) {
      const { result } = await run(sandbox, "exec head -c 40M /dev/zero > big");
      assert.notEqual(result.exitCode, 0);
      assert.ok((await stat(join(spec.workspace, "big"))).size <= spec.limits.fileSizeBytes);
      const content = new Uint8Array(spec.limits.fileSizeBytes + 1);
      await rejectsWith("too_large", sandbox.writeFile("bigger", content));
      assert.equal(await sandbox.stat("bigger"), undefined);
    },
  },
  {
    name: "leaving daemons behind",
    async attempt({ sandbox }) {
      const daemons = [
        "setsid sleep 300 &",
        "nohup sleep 300 &",
        "(setsid sleep 300 &) &",
        "(trap '' TERM HUP INT; sleep 300) & disown -a",
        "setsid bash -c 'while :; do setsid bash -c \"sleep 0.01\"; done' &",
      ];
      await run(
        sandbox,
        `${daemons.map((line) => `{ ${line} } >/dev/null 2>&1 </dev/null`).join("\n")}\necho done`,
      );
      await nothingRuns(sandbox);
    },
  },
  {
    name: "swapping links under the file operations",
    async attempt({ sandbox }) {
      await run(sandbox, "mkdir -p real; echo inside > real/passwd; ln -sfn real slot");
      const swapping = await sandbox.exec(
        execSpec(
          "while :; do ln -sfn /etc slot; ln -sfn real slot; ln -sfn /workspace/real slot; ln -sfn ../etc slot; done",
        ),
      );
      let read = 0;
      for (let i = 0; i < 400; i++) {
        const [content] = await Promise.allSettled([
          sandbox.readFile("slot/passwd"),
          sandbox.writeFile("slot/passwd", Buffer.from("inside\n")),
          sandbox.deleteFile("slot/nsswitch.conf"),
        ]);
        if (content.status === "rejected") assert.ok(isAppError(content.reason), String(content.reason));
        else if (content.value) {
          assert.equal(Buffer.from(content.value.bytes).toString(), "inside\n");
          read += 1;
        }
      }
      await swapping.kill();
      assert.ok(read > 0, "nothing was ever read");
      assert.match((await run(sandbox, "cat /etc/passwd; ls /etc")).stdout, /root:x:0[\s\S]*nsswitch/);
    },
  },
  {
    name: "handing devices, FIFOs and sockets to the file operations",
    async attempt({ sandbox }) {
      await run(
        sandbox,
        "mkfifo fifo; ln -s /dev/zero zero; ln -s /proc/self/fd/3 fd; ln -s /proc/1/root root",
      );
      await rejectsWith("invalid_input", sandbox.readFile("fifo"));
      await rejectsWith("invalid_input", sandbox.writeFile("fifo", Buffer.from("x")));
      for (const path of ["zero", "fd", "root/etc/passwd"]) {
        await rejectsWith("forbidden", sandbox.readFile(path));
        await rejectsWith("forbidden", sandbox.writeFile(path, Buffer.from("x")));
        await rejectsWith("forbidden", sandbox.stat(path));
      }
    },
  },
  // 3 is the directory that echo lists.
  shell("inherited descriptors", "cd /proc/$$/fd; echo *", ({ stdout }) =>
    assert.match(stdout, /^0 1 2( 3)?( 255)?\n$/),
  ),
  {
    name: "becoming root by setuid",
    async attempt({ sandbox }) {
      const { stdout } = await run(
        sandbox,
        "cp /bin/bash own; chmod 6755 own; ./own -p -c 'id -u'; su -c 'id -u' </dev/null; id -u",
      );
      assert.equal(stdout.replaceAll("1000\n", ""), "");
      assert.match((await run(sandbox, "cat /proc/self/status")).stdout, /NoNewPrivs:\t1/);
    },
  },
  fails("a user namespace", "unshare --user true"),
  fails("a mount", "mount -t tmpfs none /tmp"),
  {
    name: "system calls that commands do not need",
    async attempt({ sandbox }) {
      if (!hasPython) return console.warn("system calls not tried: there is no python3");
      await sandbox.writeFile("calls.py", Buffer.from(forbiddenCalls));
      const { stdout, stderr } = await run(sandbox, "python3 calls.py");
      assert.equal(stdout, "checked\n", stderr);
      await sandbox.deleteFile("calls.py");
    },
  },
  {
    name: "output without end, unread",
    async attempt({ sandbox }) {
      await using flood = await sandbox.exec(execSpec("cat /dev/zero"));
      const before = process.memoryUsage().arrayBuffers;
      await pause(1500);
      const grown = process.memoryUsage().arrayBuffers - before;
      await flood.kill();
      assert.ok(grown < 8_000_000, `${grown} bytes held`);
    },
  },
  {
    name: "output without end, and nobody there",
    async attempt({ sandbox }) {
      const flood = await sandbox.exec(execSpec("timeout 1.5 cat /dev/zero; echo over"));
      await flood[Symbol.asyncDispose]();
      await flood.result;
      const late = await sandbox.attach(flood.operationId);
      assert.ok(late);
      let kept = 0;
      let last = "";
      for await (const { bytes } of late.output) {
        kept += bytes.length;
        last = Buffer.from(bytes).toString();
      }
      assert.ok(kept > 500_000 && kept < 2_000_000, `${kept} bytes kept`);
      assert.match(last, /over\n$/);
      assert.ok((await late.result).droppedBytes > 1_000_000);
    },
  },
  {
    name: "binary garbage on both streams",
    async attempt({ sandbox }) {
      const { stdout, stderr } = await run(
        sandbox,
        "head -c 300000 /dev/urandom; head -c 300000 /dev/urandom >&2",
      );
      assert.equal(stdout.length, 300_000);
      assert.equal(stderr.length, 300_000);
    },
  },
  {
    name: "a directory deeper than any path",
    async attempt({ sandbox, spec }) {
      const dig = "for (1..3000) { mkdir 'd'; chdir 'd' } chmod 0, '.'";
      const { result } = await run(sandbox, `mkdir deep; cd deep; perl -e "${dig}"`);
      assert.equal(result.exitCode, 0);
      assert.equal(await sandbox.deleteFile("deep", { recursive: true }), true);
      assert.ok(!existsSync(join(spec.workspace, "deep")));
    },
  },
  {
    name: "a workspace that its commands have locked",
    async attempt({ sandbox }) {
      await run(sandbox, "mkdir locked; chmod -R 000 .");
      assert.equal((await run(sandbox, "chmod 755 locked; echo in")).stdout, "in\n");
      await run(sandbox, "chmod 000 .");
      assert.ok(await sandbox.stat("locked"));
    },
  },
  {
    name: "nonsense on the control socket",
    async attempt({ spec }) {
      for (let i = 0; i < 60; i++) await sendAndLeave(spec, randomBytes(1 + ((i * 977) % 70_000)));
      for (let i = 0; i < 60; i++)
        await sendAndLeave(spec, Buffer.concat(Array.from({ length: 40 }, randomFrame)));
    },
  },
];

let target: Target;

beforeAll(async () => {
  if (!probe.available) return;
  process.env.HOLDFAST_CANARY = "CANARY-secret";
  const [spec, neighbour] = [await host.newSpec(), await host.newSpec()];
  target = { spec, neighbour, sandbox: await host.driver.open(spec) };
});

afterAll(async () => {
  await target?.sandbox.destroy();
  await host.remove();
});

describe.skipIf(!probe.available)("attacks on the process sandbox", () => {
  for (const { name, attempt } of attacks) {
    test(name, async () => {
      await attempt(target);
      assert.equal((await run(target.sandbox, "echo alive")).stdout, "alive\n");
    });
  }
});

// ---- rows are made of these ----

function shell(name: string, command: string, check: (finished: Finished) => void): Attack {
  return { name, attempt: async ({ sandbox }) => check(await run(sandbox, command)) };
}

/** Nothing may be printed: what is printed has been read. */
function prints(name: string, command: string): Attack {
  return shell(name, command, ({ stdout }) => assert.equal(stdout, ""));
}

function fails(name: string, command: string): Attack {
  return shell(name, command, ({ result }) => assert.notEqual(result.exitCode, 0));
}

/** Besides this command's own keeper, shell and echo there is only the agent. */
async function nothingRuns(sandbox: Sandbox): Promise<void> {
  const { stdout } = await run(sandbox, "echo /proc/[0-9]*; cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
  const processes = stdout.split("\n")[0]?.split(" ") ?? [];
  assert.ok(processes.length <= 3, stdout);
}

async function rejectsWith(code: string, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => isAppError(error) && error.code === code);
}

function randomFrame(): Uint8Array {
  const type = 1 + ((randomBytes(1)[0] ?? 0) % 20);
  const id = (randomBytes(1)[0] ?? 0) % 4;
  if (type === request.shutdown) return encodeFrame(request.ping, id);
  const payload =
    id % 2 === 0
      ? randomBytes((randomBytes(1)[0] ?? 0) % 64)
      : encodeFields(["u32", id], ["text", "a/../../b"]);
  return encodeFrame(type, id, payload);
}

async function sendAndLeave(spec: SandboxSpec, bytes: Uint8Array): Promise<void> {
  const [directory] = await readdir(spec.stateDir);
  assert.ok(directory);
  const socket = connect(join(spec.stateDir, directory, "agent.sock"));
  await once(socket, "connect");
  // The agent may hang up in the middle of what is written, and that is its right: `once` would reject on the error.
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.end(bytes);
  socket.resume();
  await Promise.race([closed, pause(200)]);
  socket.destroy();
}

/** Calls by number where the C library has no function; 0 arguments are enough to be refused. */
const forbiddenCalls = `
import ctypes, errno, fcntl, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == "aarch64"
calls = {
  "ptrace": (117 if arm else 101, 0), "bpf": (280 if arm else 321, 0), "keyctl": (219 if arm else 250, 0),
  "perf_event_open": (241 if arm else 298, 0), "userfaultfd": (282 if arm else 323, 0), "io_uring_setup": (425, 1),
  "mount": (40 if arm else 165, 0), "umount2": (39 if arm else 166, 0), "pivot_root": (41 if arm else 155, 0),
  "unshare": (97 if arm else 272, 0x10000000), "setns": (268 if arm else 308, 0), "open_tree": (428, 0),
  "fsopen": (430, 0), "move_mount": (429, 0), "mount_setattr": (442, 0),
  "process_vm_readv": (270 if arm else 310, 1), "process_vm_writev": (271 if arm else 311, 1), "kcmp": (272 if arm else 312, 1),
  "init_module": (105 if arm else 175, 0), "finit_module": (273 if arm else 313, 0), "reboot": (142 if arm else 169, 0),
  "clone(CLONE_NEWUSER)": (220 if arm else 56, 0x10000000 | 17), "pidfd_getfd": (438, 0),
}
for name, (number, argument) in calls.items():
  ctypes.set_errno(0)
  result = libc.syscall(number, argument, 0, 0, 0, 0, 0)
  if result == 0 and name.startswith("clone"): pass
  if result != -1 or ctypes.get_errno() != errno.EPERM: print("not refused:", name, result, ctypes.get_errno())
ctypes.set_errno(0)
if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != errno.ENOSYS: print("clone3 is there")
families = [(socket.AF_PACKET, socket.SOCK_RAW, 0), (socket.AF_INET, socket.SOCK_RAW, 1), (38, socket.SOCK_SEQPACKET, 0), (40, socket.SOCK_STREAM, 0), (socket.AF_NETLINK, socket.SOCK_RAW, 9)]
for family in families:
  try:
    socket.socket(*family)
    print("socket", family)
  except PermissionError: pass
for number in (0x5412, 0x541c):
  try:
    fcntl.ioctl(0, number, b"x")
    print("ioctl", number)
  except PermissionError: pass
socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
socket.socketpair()
print("checked")
`;

/** The host's own setting, so that a change by the row above would be seen. */
const corePattern = await readFile("/proc/sys/kernel/core_pattern", "utf8");
afterAll(async () => {
  assert.equal(await readFile("/proc/sys/kernel/core_pattern", "utf8"), corePattern);
});
