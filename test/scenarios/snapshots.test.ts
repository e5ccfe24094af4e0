import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { defineTool, type Entry } from "../../src/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { noneDriver } from "../../src/sandboxes/none/none.ts";
import { diskSnapshots } from "../../src/snapshots/disk.ts";
import { createFakeClock } from "../../src/testing/testing.ts";
import { collect, type Scenario, type ScenarioOptions, startScenario, story } from "./in-process.ts";

let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "holdfast-saving-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const write = (path: string, content: string) => ({ calls: [{ tool: "write", input: { path, content } }] });
const read = (path: string) => ({ calls: [{ tool: "read", input: { path } }] });

const options = (more: ScenarioOptions = {}): ScenarioOptions => ({
  sandboxes: [noneDriver()],
  ...more,
  agent: { sandbox: { isolation: "none" }, ...more.agent },
});

type Saved = Extract<Entry, { readonly type: "workspaceSaved" }>;

async function savedIn(scenario: Scenario, session: Awaited<ReturnType<Scenario["session"]>>) {
  return (await scenario.log(session)).filter((entry): entry is Saved => entry.type === "workspaceSaved");
}

/** The files of a snapshot, restored elsewhere. */
async function filesOf(dataDir: string, { snapshot }: Saved): Promise<Readonly<Record<string, string>>> {
  const snapshots = diskSnapshots({ directory: join(dataDir, "snapshots"), clock: systemClock });
  const into = await mkdtemp(join(home, "restored-"));
  await snapshots.restore(snapshot, into);
  const names = await readdir(into);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(into, name), "utf8")] as const)),
  );
}

describe("the files of a session", () => {
  it("are kept after each turn that has changed them, and come back as they were", async () => {
    const turns = [
      write("a.txt", "1"),
      read("a.txt"),
      write("a.txt", "2"),
      write("b.txt", "3"),
      { text: "Done." },
    ];
    await using scenario = await startScenario({ turns }, options());
    const session = await scenario.session();
    await collect(await session.send("Go"));
    expect(story(await scenario.log(session)).replace(/^.*?runStarted contextOpened /, "")).toBe(
      [
        "modelCalled assistantMessage toolStarted toolFinished workspaceSaved",
        "modelCalled assistantMessage toolStarted toolFinished",
        "modelCalled assistantMessage toolStarted toolFinished workspaceSaved",
        "modelCalled assistantMessage toolStarted toolFinished workspaceSaved",
        "modelCalled assistantMessage runFinished",
      ].join(" "),
    );
    const saved = await savedIn(scenario, session);
    expect(saved.map(({ files, added, changed, removed }) => [files, added, changed, removed])).toEqual([
      [1, 1, 0, 0],
      [1, 0, 1, 0],
      [2, 1, 0, 0],
    ]);
    const files = await Promise.all(saved.map((entry) => filesOf(scenario.dataDir, entry)));
    expect(files).toEqual([{ "a.txt": "1" }, { "a.txt": "2" }, { "a.txt": "2", "b.txt": "3" }]);
  });

  it("are not written down again when a call has changed nothing", async () => {
    const turns = [write("a.txt", "1"), write("a.txt", "1"), { text: "Done." }, { text: "Done again." }];
    await using scenario = await startScenario({ turns }, options());
    const session = await scenario.session();
    await collect(await session.send("Go"));
    await collect(await session.send("And again"));
    expect(await savedIn(scenario, session)).toHaveLength(1);
  });

  it("are kept with what somebody else has put there meanwhile", async () => {
    const turns = [write("a.txt", "1"), { text: "Done." }, write("b.txt", "2"), { text: "Done." }];
    await using scenario = await startScenario({ turns }, options());
    const session = await scenario.session();
    await collect(await session.send("Go"));
    await writeFile(join(scenario.runtime.workspacePath(session.id), "uploaded.txt"), "by hand");
    await collect(await session.send("Go on"));
    const [, second] = await savedIn(scenario, session);
    expect(second).toMatchObject({ files: 3, added: 2 });
  });

  it("are left alone where the agent says so, and where nothing needed a workspace", async () => {
    const turns = [write("a.txt", "1"), { text: "Done." }];
    const off = options({ agent: { sandbox: { isolation: "none" }, snapshots: { enabled: false } } });
    await using without = await startScenario({ turns }, off);
    const session = await without.session();
    await collect(await session.send("Go"));
    expect(await savedIn(without, session)).toEqual([]);

    const refund = defineTool({
      name: "refund",
      description: "Refunds.",
      input: z.object({}),
      run: async () => "refunded",
    });
    const script = { turns: [{ calls: [{ tool: "refund" }] }, { text: "Done." }] };
    await using elsewhere = await startScenario(script, options({ agent: { tools: [refund] } }));
    const other = await elsewhere.session();
    await collect(await other.send("Go"));
    expect(await savedIn(elsewhere, other)).toEqual([]);
  });

  it("that cannot be kept do not stop the run, and are kept by the next one", async () => {
    const turns = [write("a.txt", "1"), { text: "Done." }, { text: "Done." }];
    const dataDir = await mkdtemp(join(home, "data-"));
    const place = join(dataDir, "snapshots");
    await writeFile(place, "no folder");
    await using scenario = await startScenario({ turns }, options({ dataDir }));
    const session = await scenario.session();
    const events = await collect(await session.send("Go"));
    expect(events.at(-1)).toMatchObject({ entry: { type: "runFinished", reason: "endTurn" } });
    const notices = events.flatMap((event) => (event.type === "notice" ? [event.message] : []));
    expect(notices).toEqual([expect.stringMatching(/^the files are not kept as they are after this turn: /)]);
    await rm(place);
    await collect(await session.send("Go on"));
    const [saved, ...more] = await savedIn(scenario, session);
    expect(more).toEqual([]);
    expect(saved === undefined ? {} : await filesOf(scenario.dataDir, saved)).toEqual({ "a.txt": "1" });
  });

  it("are forgotten when nothing names them any more, and not before", async () => {
    const dataDir = await mkdtemp(join(home, "data-"));
    const start = Date.now();
    const isThere = ({ snapshot }: Saved) =>
      diskSnapshots({ directory: join(dataDir, "snapshots"), clock: systemClock }).has(snapshot);
    const saved: Saved[] = [];
    {
      const turns = [
        { when: { after: "user" as const, user: "goes" }, ...write("a.txt", "1") },
        { when: { after: "user" as const, user: "stays" }, ...write("a.txt", "2") },
        { text: "Done.", times: "any" as const },
      ];
      const clock = createFakeClock(start);
      await using scenario = await startScenario({ turns }, options({ dataDir, clock }));
      for (const id of ["goes", "stays"]) {
        const session = await scenario.runtime.session({ id });
        await collect(await session.send(id));
        saved.push(...(await savedIn(scenario, session)));
      }
      await scenario.runtime.sessions.delete("goes");
    }
    const [goes, stays] = saved;
    if (goes === undefined || stays === undefined) throw new Error("no snapshots");
    expect(await isThere(goes)).toBe(true);
    await using _later = await startScenario(
      { turns: [{ text: "Nobody asks." }] },
      options({ dataDir, clock: createFakeClock(start + 2 * 3_600_000) }),
    );
    await vi.waitUntil(async () => !(await isThere(goes)), { timeout: 30_000 });
    expect(await filesOf(dataDir, stays)).toEqual({ "a.txt": "2" });
  });
});
