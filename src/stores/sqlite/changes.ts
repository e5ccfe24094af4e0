import { addAbortListener } from "node:events";
import type { Entry } from "../../log/entry.ts";
import type { Database } from "./database.ts";
import { erasures } from "./erasures.ts";

/**
 * Tells who waits in this process that a session changed: at once for commits of this process, by polling for those of
 * others. Readers look at the database whenever they have not heard everything, so nothing can be lost or told twice.
 */
export interface Changes extends Disposable {
  /** To be called after a commit that appended entries, in the order of the commits. */
  appended(sessionId: string, entries: readonly Entry[]): void;
  /** To be called after a commit that erased a session. */
  erased(sessionId: string): void;
  /** To be called after a commit that gave a session work. */
  woke(sessionId: string): void;
  watch(sessionId: string, signal: AbortSignal): Watch;
  onWake(listener: (sessionId: string) => void): Disposable;
}

export interface Watch extends Disposable {
  /**
   * Resolves once something was appended since the last call (or since the watch began), or the signal is aborted: with the
   * entries, in order, when this process appended them all; else with undefined, and the reader has to look.
   */
  changed(): Promise<readonly Entry[] | undefined>;
}

/** What a watcher is told: entries, or that there are some. */
type Notify = (entries?: readonly Entry[]) => void;

/** A reader that is so far behind reads from the database what it has not heard. */
const MAX_UNHEARD = 256;

/** How late news of other processes may be. A poll without news costs a few microseconds. */
const POLL_MS = 50;

export function createChanges(database: Database): Changes {
  const watchers = new Map<string, Set<Notify>>();
  const listeners = new Set<(sessionId: string) => void>();
  let seen: Seen | undefined;
  let timer: NodeJS.Timeout | undefined;

  const appended = (sessionId: string, entries?: readonly Entry[]) => {
    for (const notify of watchers.get(sessionId) ?? []) notify(entries);
  };
  const woke = (sessionId: string) => {
    for (const listener of [...listeners]) listener(sessionId);
  };
  function poll(): void {
    try {
      const news = readNews(database, seen);
      seen = news.seen;
      for (const id of news.erased ? [...watchers.keys()] : news.appended) appended(id);
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
    // Whoever follows it looks, and finds that it is gone.
    erased: (sessionId) => appended(sessionId),
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
      const { notify, wait } = createNews();
      const set = watchers.get(sessionId) ?? new Set();
      watchers.set(sessionId, set.add(notify));
      const aborting = addAbortListener(signal, () => notify());
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
  readonly erasures: number;
}

interface News {
  readonly seen: Seen;
  /** Something was erased: any session may be gone, and keys of entries may have been given a second time. */
  readonly erased: boolean;
  readonly appended: readonly string[];
  readonly woken: readonly string[];
}

/** `data_version` changes only with commits of other connections, so that our own need not be looked through. */
function readNews(database: Database, seen: Seen | undefined): News {
  // Keys first: what is committed between the two reads is then looked at once too often, not once too rarely.
  const entryKey = maxKey(database, "SELECT max(key) AS key FROM entry");
  const inboxKey = maxKey(database, "SELECT max(key) AS key FROM inbox");
  const dataVersion = database.get<{ data_version: number }>("PRAGMA data_version")?.data_version ?? 0;
  const now = { dataVersion, entryKey, inboxKey, erasures: erasures(database) };
  if (seen === undefined || seen.dataVersion === dataVersion) {
    return { seen: now, erased: false, appended: [], woken: [] };
  }
  return {
    seen: now,
    erased: seen.erasures !== now.erasures,
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

/** What one reader has not heard yet. */
function createNews(): { readonly notify: Notify; readonly wait: Watch["changed"] } {
  let raised = false;
  let heard: Entry[] | undefined = [];
  let wake: (() => void) | undefined;
  return {
    notify(entries) {
      raised = true;
      if (entries === undefined || (heard?.length ?? 0) > MAX_UNHEARD) heard = undefined;
      else heard?.push(...entries);
      wake?.();
    },
    async wait() {
      if (!raised) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const news = heard;
      wake = undefined;
      raised = false;
      heard = [];
      return news;
    },
  };
}
