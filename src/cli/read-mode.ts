import { AppError } from "../lib/errors.ts";
import type { PermissionMode } from "../log/entry.ts";

export const permissionModes = [
  "default",
  "acceptEdits",
  "plan",
  "auto",
  "dontAsk",
  "bypass",
] as const satisfies readonly PermissionMode[];

/** `what`: where it stands, for people: "--mode". @throws AppError `invalid_input` */
export function readMode(what: string, text: string): PermissionMode {
  const mode = permissionModes.find((known) => known === text);
  if (mode !== undefined) return mode;
  throw new AppError("invalid_input", `${what} ${JSON.stringify(text)} is not a mode`, {
    hint: `Known: ${permissionModes.join(", ")}.`,
  });
}
