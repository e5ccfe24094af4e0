import { userInfo } from "node:os";
import { AppError } from "../lib/errors.ts";
import type { SendMessage } from "../run/session/sessions.ts";
import type { Input, Option } from "./command.ts";
import { permissionModes, readMode } from "./read-mode.ts";

/** How a command sends its prompt: the options that `run` and `invoke` share. */
export interface SendingWishes {
  readonly model: string | undefined;
  readonly delivery: string | undefined;
  readonly actor: string | undefined;
  readonly mode: string | undefined;
}

export const sendingOptions: readonly Option[] = [
  { flags: "--model <id>", description: 'use another model for this run, for example "openai/gpt-5.2"' },
  {
    flags: "--delivery <how>",
    description:
      "if the session is at work: steer (the run sees it next), followUp (answer it afterwards), interrupt (stop the run, then answer it) or reject (default: what the agent says)",
  },
  { flags: "--actor <name>", description: "who asks, for the record" },
  {
    flags: "--mode <mode>",
    description: `from now on the session works in this mode: ${permissionModes.join(", ")} (default: what the agent says)`,
  },
];

export function sendingWishes(input: Input): SendingWishes {
  return {
    model: input.text("model"),
    delivery: input.text("delivery"),
    actor: input.text("actor"),
    mode: input.text("mode"),
  };
}

const deliveries = ["steer", "followUp", "interrupt", "reject"] as const;

/** @throws AppError `invalid_input` */
export function messageOf(
  prompt: string,
  { model, delivery: given, actor, mode }: SendingWishes,
): SendMessage {
  const delivery = deliveries.find((known) => known === given);
  if (given !== undefined && delivery === undefined) {
    throw new AppError("invalid_input", `--delivery ${JSON.stringify(given)} is not known`, {
      hint: `Known: ${deliveries.join(", ")}.`,
    });
  }
  return {
    blocks: [{ type: "text", text: prompt }],
    ...(model === undefined ? {} : { model }),
    ...(delivery === undefined ? {} : { delivery }),
    ...(actor === undefined ? {} : { actor }),
    ...(mode === undefined ? {} : { mode: readMode("--mode", mode) }),
  };
}

/** The name of whoever sits here; undefined where the system has none. */
export function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
