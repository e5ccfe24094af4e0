import { mkdtempSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openRegistry } from "./registry.ts";

const home = mkdtempSync(join(tmpdir(), "holdfast-registry-"));
afterAll(() => rm(home, { recursive: true, force: true }));

test("each sandbox has a user id of its own, the same for every runtime", async () => {
  const [one, other] = [registry("same", 50), registry("same", 50)];
  const directories = Array.from({ length: 50 }, (_, i) => `/state/${i}`);
  const uids = await Promise.all(directories.map((directory) => one.uidOf(directory)));
  expect(new Set(uids).size).toBe(50);
  expect(Math.min(...uids)).toBe(1000);
  expect(await Promise.all(directories.map((directory) => other.uidOf(directory)))).toEqual(uids);
});

test("asked for by two at once, it is one", async () => {
  const uids = await Promise.all([registry("twice", 9).uidOf("/a"), registry("twice", 9).uidOf("/a")]);
  expect(uids[0]).toBe(uids[1]);
  expect(await readdir(join(home, "twice", "uids"))).toHaveLength(1);
});

test("when all are taken, that is an error; one that is released can be had again", async () => {
  const full = registry("full", 2);
  await full.uidOf("/a");
  await full.uidOf("/b");
  await expect(full.uidOf("/c")).rejects.toMatchObject({ code: "unavailable" });
  await full.releaseUid("/a");
  expect(await full.uidOf("/c")).toBeGreaterThanOrEqual(1000);
  await full.releaseUid("/never");
});

test("a session's directory is remembered until it is forgotten", async () => {
  const sessions = registry("sessions", 1);
  await sessions.rememberSession("../odd/id", "/state/x");
  await sessions.rememberSession("../odd/id", "/state/y");
  expect(await registry("sessions", 1).directoryOf("../odd/id")).toBe("/state/y");
  await sessions.forgetSession("../odd/id");
  await sessions.forgetSession("../odd/id");
  expect(await sessions.directoryOf("../odd/id")).toBeUndefined();
});

function registry(name: string, count: number) {
  return openRegistry(join(home, name), { first: 1000, count });
}
