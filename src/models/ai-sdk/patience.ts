/** How long a provider may say nothing, in milliseconds. */
export interface ModelLimits {
  /**
   * Until the first piece of the answer. Default 5 minutes: models that think without showing it are silent for minutes,
   * and Node's own `fetch` waits as long for the head of a response.
   */
  readonly firstTokenMs: number;
  /** Between two pieces. Default 2 minutes: longer than any pause between two visible thoughts. */
  readonly betweenTokensMs: number;
}

export const defaultLimits: ModelLimits = { firstTokenMs: 5 * 60_000, betweenTokensMs: 2 * 60_000 };

/** Why the wait for a provider was ended before its answer was complete. */
export type Ended = "aborted" | "noFirstToken" | "stalled";

/** Watches over one request: ends it when the caller aborts, or when the provider is silent for too long. */
export interface Patience {
  /** For the request: aborted ends it at the socket. */
  readonly signal: AbortSignal;
  readonly ended: Ended | undefined;
  /** Somebody waits for the provider from now on, until `heard`. Only then does its silence count. */
  wait(): void;
  /** Something has come. From the first piece of the answer on, the second limit holds. */
  heard(isPiece: boolean): void;
  /** Stops watching. Ends the request unless it is `complete`. */
  close(complete: boolean): void;
}

/** One timer for the whole request: `refresh` is cheap enough for every chunk. */
export function startPatience(caller: AbortSignal, limits: ModelLimits): Patience {
  const request = new AbortController();
  let ended: Ended | undefined;
  let waiting = true;
  let hasBegun = false;
  let timer = setTimeout(expire, limits.firstTokenMs);

  function expire(): void {
    if (waiting) end(hasBegun ? "stalled" : "noFirstToken");
  }
  function end(why: Ended): void {
    ended ??= why;
    request.abort();
  }
  const onAbort = () => end("aborted");
  caller.addEventListener("abort", onAbort, { once: true });
  if (caller.aborted) onAbort();

  return {
    signal: request.signal,
    get ended() {
      return ended;
    },
    wait() {
      waiting = true;
      if (hasBegun) timer.refresh();
    },
    heard(isPiece) {
      waiting = false;
      if (!isPiece || hasBegun) return;
      hasBegun = true;
      clearTimeout(timer);
      timer = setTimeout(expire, limits.betweenTokensMs);
    },
    close(complete) {
      clearTimeout(timer);
      caller.removeEventListener("abort", onAbort);
      if (!complete) request.abort();
    },
  };
}
