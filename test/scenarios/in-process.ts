import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AgentDefinition,
  type Entry,
  openRuntime,
  type RunEvent,
  type Runtime,
  type RuntimeOptions,
  type Session,
} from "../../src/index.ts";
import { createScriptedModel, type Script, type ScriptedModel } from "../../src/testing/testing.ts";

/** A whole runtime in this process, over a directory of its own, with a scripted model. */
export interface Scenario extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly model: ScriptedModel;
  readonly dataDir: string;
  readonly notices: readonly string[];
  session(): Promise<Session>;
  log(session: Session): Promise<readonly Entry[]>;
}

export interface ScenarioOptions extends Partial<RuntimeOptions> {
  /** Changes of the one agent that there is, unless `agents` says which. */
  readonly agent?: Partial<AgentDefinition>;
}

export async function startScenario(script: Script, options: ScenarioOptions = {}): Promise<Scenario> {
  const { agent, ...rest } = options;
  const ownDirectory =
    rest.dataDir === undefined ? await mkdtemp(join(tmpdir(), "holdfast-scenario-")) : undefined;
  const dataDir = rest.dataDir ?? ownDirectory ?? "";
  const model = createScriptedModel(script);
  const notices: string[] = [];
  const runtime = await openRuntime({
    agents: [
      {
        name: "tester",
        systemPrompt: "You are tested.",
        model: "scripted/tester",
        permissions: { allow: ["*"] },
        // What deletes old sessions sleeps on the clock, whose sleepers many stories count.
        retention: { abandoned: "never" },
        ...agent,
      },
    ],
    models: () => model,
    notify: (notice) => notices.push(notice),
    ...rest,
    dataDir,
  });
  return {
    runtime,
    model,
    dataDir,
    notices,
    session: () => runtime.session(),
    log: (session) => runtime.sessions.entries(session.id),
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      if (ownDirectory !== undefined) await rm(ownDirectory, { recursive: true, force: true });
    },
  };
}

export async function collect(events: AsyncIterable<RunEvent>): Promise<readonly RunEvent[]> {
  return Array.fromAsync(events);
}

/** The types of a log's entries, one word each, so that a story can be read in a test. */
export function story(entries: readonly Entry[]): string {
  return entries.map(({ type }) => type).join(" ");
}
