import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SandboxCapabilities, SandboxDriver, SandboxKind } from "../sandboxes/sandbox.ts";
import { checkKeys, checkSandboxes, checkSearch, checkStore } from "./examine.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-examine-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const capabilities: Readonly<Record<SandboxKind, SandboxCapabilities>> = {
  process: {
    isolation: "namespaces",
    survivesRestart: true,
    limits: { memory: "hard", processes: "hard", fileSize: "perProcess", cpu: "none" },
    network: "none",
    realPrograms: true,
  },
  virtual: {
    isolation: "interpreter",
    survivesRestart: false,
    limits: { memory: "none", processes: "none", fileSize: "none", cpu: "none" },
    network: "none",
    realPrograms: false,
  },
  none: {
    isolation: "none",
    survivesRestart: false,
    limits: { memory: "none", processes: "none", fileSize: "none", cpu: "none" },
    network: "host",
    realPrograms: true,
  },
};

/** A driver that only answers the question of the doctor. */
function driver(kind: SandboxKind, available: boolean, disposed: string[] = []): SandboxDriver {
  const unused = () => Promise.reject(new Error("not asked for"));
  const problem = available ? null : { reason: `no ${kind} here`, fix: `install ${kind}` };
  return {
    kind,
    probe: async () => ({ kind, available, problem, capabilities: capabilities[kind] }),
    open: unused,
    destroy: unused,
    async [Symbol.asyncDispose]() {
      disposed.push(kind);
    },
  };
}

test("the strongest sandbox is the one that is used", async () => {
  const disposed: string[] = [];
  const checks = await checkSandboxes([
    driver("process", true, disposed),
    driver("virtual", true, disposed),
    driver("none", true, disposed),
  ]);
  expect(checks.map(({ status, finding }) => `${status}: ${finding}`)).toEqual([
    "ok: separated from this machine by namespaces, runs real programs, no network, limits: memory, processes, fileSize; used unless harness.json says otherwise",
    "ok: a shell written in TypeScript, runs no real programs, no network, no limits",
    "ok: no separation from this machine, runs real programs, network of this machine, no limits; used only where harness.json asks for it",
  ]);
  expect(disposed).toEqual(["process", "virtual", "none"]);
});

test("a weaker sandbox will do, and what is missing is named", async () => {
  const checks = await checkSandboxes([driver("process", false), driver("virtual", true)]);
  expect(checks[0]).toEqual({
    name: "sandbox process",
    status: "missing",
    finding: "no process here",
    fix: "install process",
  });
  expect(checks[1]?.finding).toMatch(/used unless harness\.json says otherwise$/);
});

test("without a sandbox that may be chosen agents cannot run", async () => {
  const checks = await checkSandboxes([
    driver("process", false),
    driver("virtual", false),
    driver("none", true),
  ]);
  expect(checks.map(({ status }) => status)).toEqual(["failed", "failed", "ok"]);
});

test("a store can be where a folder can be made, and nothing is left behind", async () => {
  const check = await checkStore(join(folder, "not", "yet"));
  expect(check).toMatchObject({ name: "store", status: "ok", fix: null });
  expect(readdirSync(folder)).toEqual([]);
});

test("a store cannot be below a file", async () => {
  writeFileSync(join(folder, "file"), "");
  expect(await checkStore(join(folder, "file"))).toMatchObject({ status: "failed" });
});

test("keys are told by the name of their provider", () => {
  const [found] = checkKeys({ hasKey: (name) => name === "openai" });
  expect(found).toEqual({ name: "model keys", status: "ok", finding: "openai", fix: null });
  const [none] = checkKeys({ hasKey: () => false });
  expect(none).toMatchObject({
    status: "missing",
    fix: "export ANTHROPIC_API_KEY=...   (or OPENAI_API_KEY, OLLAMA_HOST)",
  });
});

test("ripgrep is looked up in PATH", async () => {
  expect(await checkSearch({ PATH: folder })).toMatchObject({
    status: "missing",
    fix: expect.stringMatching(/install.* ripgrep$/),
  });
  writeFileSync(join(folder, "rg"), "#!/bin/sh\n");
  chmodSync(join(folder, "rg"), 0o755);
  expect(await checkSearch({ PATH: `/nowhere:${folder}` })).toMatchObject({
    status: "ok",
    finding: join(folder, "rg"),
  });
});
