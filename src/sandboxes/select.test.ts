import { describe, expect, test } from "vitest";
import type { SandboxCapabilities, SandboxKind, SandboxProbe } from "./sandbox.ts";
import { type Isolation, selectSandbox } from "./select.ts";

const capabilities: SandboxCapabilities = {
  isolation: "namespaces",
  survivesRestart: true,
  limits: { memory: "hard", processes: "hard", fileSize: "hard", cpu: "hard" },
  network: "none",
  realPrograms: true,
};

const works = (kind: SandboxKind): SandboxProbe => ({ kind, available: true, problem: null, capabilities });
const fails = (
  kind: SandboxKind,
  reason = `${kind} is broken.`,
  fix: string | null = `fix ${kind}`,
): SandboxProbe => ({
  kind,
  available: false,
  problem: { reason, fix },
  capabilities,
});

const everything = [works("none"), works("virtual"), works("process")];

describe("what is chosen", () => {
  test.each<[Isolation, readonly SandboxProbe[], SandboxKind, RegExp | null]>([
    ["auto", everything, "process", null],
    [
      "auto",
      [fails("process"), works("virtual"), works("none")],
      "virtual",
      /^no OS sandbox here \(process is broken\): commands run in the built-in bash; .*: fix process$/,
    ],
    [
      "auto",
      [fails("process", "no bwrap", null), works("virtual")],
      "virtual",
      /\(no bwrap\).*not available$/,
    ],
    ["auto", [works("virtual")], "virtual", /none is installed/],
    ["process", everything, "process", null],
    ["virtual", everything, "virtual", null],
    ["none", everything, "none", /without a sandbox/],
  ])("%s", (isolation, probes, kind, notice) => {
    const choice = selectSandbox(isolation, probes);
    expect(choice.kind).toBe(kind);
    if (notice === null) expect(choice.notice).toBeNull();
    else expect(choice.notice).toMatch(notice);
    expect(choice.notice ?? "").not.toContain("\n");
  });
});

describe("what is refused, with reason and fix", () => {
  test.each<[Isolation, readonly SandboxProbe[], RegExp, RegExp]>([
    [
      "auto",
      [fails("process"), fails("virtual"), works("none")],
      /process: process is broken; virtual: virtual is broken/,
      /fix process/,
    ],
    ["auto", [works("none")], /No sandbox is available here/, /"isolation": "none"/],
    [
      "process",
      [fails("process"), works("virtual")],
      /"process" is not available here: process is broken\./,
      /fix process/,
    ],
    ["process", [works("virtual")], /no driver/, /"auto"/],
    [
      "virtual",
      [works("process"), fails("virtual", "gone", null)],
      /"virtual" is not available here: gone\./,
      /"auto"/,
    ],
    ["none", [fails("none", "bash is missing"), works("process")], /"none".*bash is missing/, /fix none/],
  ])("%s", (isolation, probes, message, hint) => {
    expect(() => selectSandbox(isolation, probes)).toThrow(
      expect.objectContaining({
        code: "unavailable",
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      }),
    );
  });
});
