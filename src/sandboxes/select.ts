import { AppError } from "../lib/errors.ts";
import type { SandboxKind, SandboxProbe } from "./sandbox.ts";

/** What an agent asks for: a kind, or the strongest that the machine can run. */
export type Isolation = "auto" | SandboxKind;

export interface SandboxChoice {
  readonly kind: SandboxKind;
  /** One line for people, when they should know of it: a weaker sandbox than the best, or none. */
  readonly notice: string | null;
}

/** The strongest first. `none` is no sandbox, so nothing but its name chooses it. */
const strongestFirst: readonly SandboxKind[] = ["process", "virtual"];

/**
 * Which kind of sandbox to use on a machine that was probed. A kind that was asked for by name is never replaced by
 * another one.
 * @throws AppError `unavailable` when there is none, or not the one that was asked for: why, and what would change it.
 */
export function selectSandbox(isolation: Isolation, probes: readonly SandboxProbe[]): SandboxChoice {
  return isolation === "auto" ? strongest(probes) : named(isolation, probes);
}

function strongest(probes: readonly SandboxProbe[]): SandboxChoice {
  const kind = strongestFirst.find((candidate) => probeOf(candidate, probes)?.available);
  if (kind === undefined) throw noneAvailable(probes);
  const best = strongestFirst[0];
  const problem = kind === best ? null : probeOf("process", probes)?.problem;
  return { kind, notice: kind === best ? null : fallBackNotice(problem ?? null) };
}

function named(kind: SandboxKind, probes: readonly SandboxProbe[]): SandboxChoice {
  const probe = probeOf(kind, probes);
  if (probe?.available) return { kind, notice: kind === "none" ? noSandboxNotice : null };
  const reason = probe?.problem?.reason ?? "this installation has no driver for it";
  throw new AppError("unavailable", `The sandbox "${kind}" is not available here: ${withoutStop(reason)}.`, {
    hint: fixOf(probe) ?? 'Choose another "isolation", or "auto" for the strongest that works here.',
    details: { kind, reason },
  });
}

const noSandboxNotice =
  'isolation "none": commands run on this machine without a sandbox, with all rights of the user who started it';

type Problem = NonNullable<SandboxProbe["problem"]>;

function fallBackNotice(problem: Problem | null): string {
  const reason = problem === null ? "none is installed" : withoutStop(problem.reason);
  const fix = problem?.fix ? `; to change that: ${problem.fix}` : "";
  return `no OS sandbox here (${reason}): commands run in the built-in bash; programs like python and git are not available${fix}`;
}

function noneAvailable(probes: readonly SandboxProbe[]): AppError {
  const reasons = strongestFirst.map((kind) => {
    const reason = probeOf(kind, probes)?.problem?.reason ?? "no driver";
    return `${kind}: ${withoutStop(reason)}`;
  });
  const fix = strongestFirst.map((kind) => fixOf(probeOf(kind, probes))).find((found) => found !== undefined);
  return new AppError("unavailable", `No sandbox is available here (${reasons.join("; ")}).`, {
    hint: fix ?? 'On a machine that is a sandbox itself, set "isolation": "none".',
  });
}

function fixOf(probe: SandboxProbe | undefined): string | undefined {
  return probe?.problem?.fix ? `To change that: ${probe.problem.fix}` : undefined;
}

function probeOf(kind: SandboxKind, probes: readonly SandboxProbe[]): SandboxProbe | undefined {
  return probes.find((probe) => probe.kind === kind);
}

const withoutStop = (text: string): string => text.replace(/\.$/, "");
