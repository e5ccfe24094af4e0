import { httpProblem, wireError } from "./errors.ts";

/** The memory for request bodies that are being read, over all requests of a server. */
export interface BodyBudget {
  /** The part of one request, given back when it is disposed of. */
  open(): BodyShare;
}

export interface BodyShare extends Disposable {
  /** To be called before so many bytes of the body, in all, are held. @throws a 503 with `Retry-After` when there is no room. */
  hold(bytes: number): void;
}

/** Not counted, so that ordinary requests go through while large ones wait. */
const FREE_BYTES = 64 * 1024;

export function createBodyBudget(totalBytes: number): BodyBudget {
  let held = 0;
  return {
    open() {
      let own = 0;
      return {
        hold(bytes) {
          const more = Math.max(0, bytes - FREE_BYTES) - own;
          if (more <= 0) return;
          if (held + more > totalBytes) throw noRoom();
          held += more;
          own += more;
        },
        [Symbol.dispose]() {
          held -= own;
          own = 0;
        },
      };
    },
  };
}

function noRoom(): Error {
  const body = wireError("unavailable", "the server is reading as many large requests as it can hold", {
    hint: "Send it again in a moment, or put large content into a file of the session.",
  });
  return httpProblem(body, { "retry-after": "1" });
}
