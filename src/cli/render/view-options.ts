import { columnsOf, isLive, stylerFor, type Terminal } from "../terminal.ts";
import type { ViewOptions } from "./options.ts";

/** A person sees the beginning and the end of what commands print; a pipe gets (nearly) all of it. */
const liveOutput = { head: 8, tail: 4 };
const pipedOutput = { head: 200, tail: 50 };
/** Where lines need not fit a screen they may be long, but not endless. */
const PIPE_WIDTH = 400;

export function viewOptions({ stdout, env }: Pick<Terminal, "stdout" | "env">): ViewOptions {
  const live = isLive(stdout, env);
  return {
    style: stylerFor(stdout, env),
    width: live ? Math.max(40, columnsOf(stdout) - 1) : PIPE_WIDTH,
    output: live ? liveOutput : pipedOutput,
  };
}
