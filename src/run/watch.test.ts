import { expect, test } from "vitest";
import type { Entry } from "../log/entry.ts";
import type { SessionLog } from "../log/session-log.ts";
import { created, entries, modelIsCalled, runStarts, userSays } from "../testing/log-builder.ts";
import type { RunEvent } from "./events.ts";
import { createDeltaBus, watchSession } from "./watch.ts";

const [root, message, started, called] = entries(created(), userSays("hi"), runStarts(), modelIsCalled()) as [
  Entry,
  Entry,
  Entry,
  Entry,
];
const delta = (text: string) => ({ type: "textDelta", runId: "r1", text }) as const;

/** A log whose entries reach their followers when the test says so. */
function logInHand() {
  const given = Promise.withResolvers<void>();
  const follow: SessionLog["follow"] = async function* () {
    yield root;
    yield message;
    await given.promise;
    yield started;
    yield called;
  };
  return { log: { follow } as SessionLog, giveRest: given.resolve };
}

function nameOf(event: RunEvent): string {
  if (event.type === "entry") return event.entry.type;
  return event.type === "textDelta" ? event.text : event.type;
}

async function read(events: AsyncIterator<RunEvent>, count: number): Promise<readonly string[]> {
  const names: string[] = [];
  while (names.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    names.push(nameOf(value));
  }
  return names;
}

test("a delta waits for the entries that were appended before it", async () => {
  const { log, giveRest } = logInHand();
  const bus = createDeltaBus();
  const reader = new AbortController();
  const events = watchSession(log, bus, "s", { after: 0, signal: reader.signal })[Symbol.asyncIterator]();
  expect(await read(events, 2)).toEqual(["sessionCreated", "userMessage"]);

  bus.publish("s", delta("behind the call"), called.seq);
  bus.publish("s", delta("at once"), message.seq);
  bus.publish("s", delta("behind it, too"), called.seq);
  expect(await read(events, 1)).toEqual(["at once"]);
  giveRest();
  expect(await read(events, 4)).toEqual(["runStarted", "modelCalled", "behind the call", "behind it, too"]);
  reader.abort();
});
