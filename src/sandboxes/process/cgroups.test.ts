import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type CgroupSupport,
  cgroupDirectories,
  detectCgroups,
  makeCgroups,
  parseMembership,
  removeCgroups,
} from "./cgroups.ts";

const limits = { memoryBytes: 1000, processes: 10, fileSizeBytes: 1, cpus: 0.5 };
let mount: string;

beforeEach(async () => {
  mount = await mkdtemp(join(tmpdir(), "holdfast-cgroups-"));
});
afterEach(() => rm(mount, { recursive: true, force: true }));

/** Plain files where the kernel would have its own. */
async function files(contents: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(dirname(join(mount, name)), { recursive: true });
    await writeFile(join(mount, name), text);
  }
}

test("the own group is found in each line", () => {
  const own = parseMembership("5:cpu,cpuacct:/a\n4:memory:/b:c\n0::/user.slice/x\nnonsense\n");
  expect([...own]).toEqual([
    ["cpu", "/a"],
    ["cpuacct", "/a"],
    ["memory", "/b:c"],
    ["", "/user.slice/x"],
  ]);
});

test("version 1: a group in each hierarchy, below our own where it can be seen", async () => {
  await files({
    "memory/ours/cgroup.procs": "",
    "pids/cgroup.procs": "",
    membership: "4:memory:/ours\n3:pids:/not-visible\n",
  });
  const support = await detectCgroups(mount, join(mount, "membership"));
  expect(support.version).toBe(1);
  expect([...support.controllers]).toEqual(["memory", "pids"]);
  await makeCgroups(support, "box", limits);
  expect(cgroupDirectories(support, "box")).toEqual([
    join(mount, "memory/ours/box"),
    join(mount, "pids/box"),
  ]);
  expect(await readFile(join(mount, "memory/ours/box/memory.limit_in_bytes"), "utf8")).toBe("1000");
  expect(await readFile(join(mount, "pids/box/pids.max"), "utf8")).toBe("26");
});

test("version 2: nothing can be limited where controllers are not handed down", async () => {
  await files({ "cgroup.controllers": "cpu memory pids", "cgroup.procs": "", membership: "0::/\n" });
  const support = await detectCgroups(mount, join(mount, "membership"));
  expect(support).toMatchObject({ version: 2, parents: [] });
});

test("version 2: one group with all limits", async () => {
  const parents = [{ directory: mount, controllers: ["memory", "pids", "cpu"] as const }];
  const support: CgroupSupport = { version: 2, controllers: new Set(), parents };
  await makeCgroups(support, "box", limits);
  expect(cgroupDirectories(support, "box")).toEqual([join(mount, "box")]);
  expect(await readFile(join(mount, "box/memory.max"), "utf8")).toBe("1000");
  expect(await readFile(join(mount, "box/cpu.max"), "utf8")).toBe("50000 100000");
});

test("without the right to make groups there are none", async () => {
  const support = await detectCgroups(join(mount, "nothing"), join(mount, "nothing"));
  expect([...support.controllers]).toEqual([]);
  expect(cgroupDirectories(support, "box")).toEqual([]);
});

test("looking leaves nothing behind, and removing minds nothing that is gone", async () => {
  await files({ "pids/cgroup.procs": "" });
  await detectCgroups(mount, join(mount, "none"));
  expect(await readdir(join(mount, "pids"))).toEqual(["cgroup.procs"]);
  await removeCgroups([join(mount, "pids/never")]);
});
