import { addAbortListener } from "node:events";
import type { Database } from "./database.ts";

/**
 * Tells who waits in this process that a session changed: at once for commits of this process, by polling for those of
 * others. Says only *that*, never *what*: readers look at the database, so nothing can be lost or told twice.
 */
export interface Changes extends Disposable {
  /** To be called after a commit that appended entries. */
  appended(sessionId: string): void;
  /** To be called after a commit that gave a session work. */
  woke(sessionId: string): void;
  watch(sessionId: string, signal: AbortSignal): Watch;
  onWake(listener: (sessionId: string) => void): Disposable;
}

export interface Watch extends Disposable {
  /** Resolves once something was appended since the last call (or since the watch began), or the signal is aborted. */
  changed(): Promise<void>;
}

/** How late news of other processes may be. A poll without news costs a few microseconds. */
const POLL_MS = 50;

export function createChanges(database: Database): Changes {
  const watchers = new Map<string, Set<() => void>>();
  const listeners = new Set<(sessionId: string) => void>();
  let seen: Seen | undefined;
  let timer: NodeJS.Timeout | undefined;

  const appended = (sessionId: string) => {
    for (const notify of watchers.get(sessionId) ?? []) notify();
  };
  const woke = (sessionId: string) => {
    for (const listener of [...listeners]) listener(sessionId);
  };
  function poll(): void {
    try {
      const news = readNews(database, seen);
      seen = news.seen;
      for (const id of news.appended) appended(id);
      for (const id of news.woken) woke(id);
    } catch {
      // A lock held for too long, for example. What was not seen now is seen by the next poll.
    }
  }
  /** Polls exactly while somebody waits. */
  function update(): void {
    const wanted = watchers.size > 0 || listeners.size > 0;
    if (wanted && timer === undefined) {
      seen = readNews(database, undefined).seen;
      timer = setInterval(poll, POLL_MS);
      timer.unref();
    }
    if (!wanted && timer !== undefined) {
      clearInterval(timer);
      timer = undefined;
    }
  }

  return {
    appended,
    woke,
    onWake(listener) {
      // Its own identity, so that one function can listen twice.
      const entry = (sessionId: string) => listener(sessionId);
      listeners.add(entry);
      update();
      return {
        [Symbol.dispose]() {
          listeners.delete(entry);
          update();
        },
      };
    },
    watch(sessionId, signal) {
      const { notify, wait } = createFlag();
      const set = watchers.get(sessionId) ?? new Set();
      watchers.set(sessionId, set.add(notify));
      const aborting = addAbortListener(signal, notify);
      update();
      return {
        changed: wait,
        [Symbol.dispose]() {
          aborting[Symbol.dispose]();
          set.delete(notify);
          if (set.size === 0 && watchers.get(sessionId) === set) watchers.delete(sessionId);
          update();
        },
      };
    },
    [Symbol.dispose]() {
      listeners.clear();
      for (const set of watchers.values()) for (const notify of set) notify();
      watchers.clear();
      update();
    },
  };
}

interface Seen {
  readonly dataVersion: number;
  readonly entryKey: number;
  readonly inboxKey: number;
}

interface News {
  readonly seen: Seen;
  readonly appended: readonly string[];
  readonly woken: readonly string[];
}

/** `data_version` changes only with commits of other connections, so that our own need not be looked through. */
function readNews(database: Database, seen: Seen | undefined): News {
  // Keys first: what is committed between the two reads is then looked at once too often, not once too rarely.
  const entryKey = maxKey(database, "SELECT max(key) AS key FROM entry");
  const inboxKey = maxKey(database, "SELECT max(key) AS key FROM inbox");
  const dataVersion = database.get<{ data_version: number }>("PRAGMA data_version")?.data_version ?? 0;
  const now = { dataVersion, entryKey, inboxKey };
  if (seen === undefined || seen.dataVersion === dataVersion) return { seen: now, appended: [], woken: [] };
  return {
    seen: now,
    appended: database
      .all<{ id: string }>(
        "SELECT DISTINCT session.id FROM entry JOIN session ON session.key = entry.session WHERE entry.key > ?",
        Math.min(seen.entryKey, entryKey),
      )
      .map((row) => row.id),
    woken: database
      .all<{ id: string }>(
        "SELECT DISTINCT session.id FROM inbox JOIN session ON session.key = inbox.session WHERE inbox.key > ?",
        seen.inboxKey,
      )
      .map((row) => row.id),
  };
}

function maxKey(database: Database, sql: string): number {
  return database.get<{ key: number | null }>(sql)?.key ?? 0;
}

/** One bit that one reader can wait for. */
function createFlag() {
  let raised = false;
  let wake: (() => void) | undefined;
  return {
    notify() {
      raised = true;
      wake?.();
    },
    async wait(): Promise<void> {
      if (!raised) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      wake = undefined;
      raised = false;
    },
  };
}
