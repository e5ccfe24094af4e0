import type { Agent } from "../../agents/agent.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { ModelFailure } from "../../log/entry.ts";
import type { ModelAnswer, ModelRequest } from "../../models/model.ts";
import type { LoopPorts } from "../loop-ports.ts";

export type Last =
  | { readonly type: "finished"; readonly answer: ModelAnswer }
  /** `hasBegun`: a part of the answer had come. */
  | { readonly type: "failed"; readonly failure: ModelFailure; readonly hasBegun: boolean };

/** The answer to a request of the runtime's own, whose text nobody is shown while it comes. Never rejects. */
export async function readToEnd(
  ports: Pick<LoopPorts, "models">,
  agent: Agent,
  model: string,
  request: ModelRequest,
  cancel: AbortSignal,
): Promise<Last> {
  let hasBegun = false;
  const failed = (failure: ModelFailure): Last => ({ type: "failed", failure, hasBegun });
  try {
    for await (const event of ports.models(agent, model).stream(request, cancel)) {
      if (event.type === "finished") return event;
      if (event.type === "failed") return failed(event.failure);
      if (cancel.aborted) break;
      hasBegun = true;
    }
    return failed({ kind: "network", message: "the stream ended without an answer" });
  } catch (error) {
    return failed({ kind: "unknown", message: errorMessage(error) });
  }
}
