import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { AppError } from "../src/lib/errors.ts";
import type { CallPreview } from "../src/log/entry.ts";
import type { Sandbox, SandboxDriver } from "../src/sandboxes/sandbox.ts";
import { builtinTools } from "../src/tools/builtin/builtin.ts";
import type { Reconciled, Tool, ToolContext, ToolOutput, ToolResult } from "../src/tools/tool.ts";
import { pngImage } from "./sample-images.ts";

const tools = new Map(builtinTools().map((tool) => [tool.name, tool]));

function toolNamed(name: string): Tool {
  const tool = tools.get(name);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  return tool;
}

/** What the built-in tools do in a sandbox, whichever it is: registers the tests, and closes the driver after them. */
export function testBuiltinTools(driver: SandboxDriver): void {
  describe(`in the sandbox ${driver.kind}`, () => {
    let sandbox: Sandbox;
    let workspace: string;
    let call = 0;
    const sessionId = `ses_tools_${driver.kind}_${process.pid}`;
    let home: string;

    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), "holdfast-tools-"));
      workspace = join(home, "workspace");
      const stateDir = join(home, "state");
      await mkdir(workspace);
      await mkdir(stateDir);
      const limits = { memoryBytes: 2 ** 29, processes: 100, fileSizeBytes: 2 ** 28, cpus: 1 };
      sandbox = await driver.open({ sessionId, workspace, stateDir, limits });
    });

    afterAll(async () => {
      await driver.destroy(sessionId);
      await driver[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    });

    beforeEach(async () => {
      for (const name of await readdir(workspace)) await rm(join(workspace, name), { recursive: true });
    });

    function contextFor(options: Partial<ToolContext> = {}): ToolContext {
      call += 1;
      return {
        sessionId,
        runId: "run_1",
        callId: `call_${call}`,
        operationId: `op_${call}`,
        attempt: 1,
        signal: new AbortController().signal,
        sandbox: async () => sandbox,
        emit: () => undefined,
        ask: () => Promise.reject(new Error("there is nobody to ask")),
        ...options,
      };
    }

    async function run(name: string, input: unknown, options?: Partial<ToolContext>): Promise<ToolResult> {
      const tool = toolNamed(name);
      const parsed = tool.parse(input);
      if (!parsed.ok) throw new Error(parsed.complaint);
      return tool.run(parsed.input, contextFor(options));
    }

    async function preview(name: string, input: unknown): Promise<CallPreview | null | undefined> {
      return toolNamed(name).preview?.(input, contextFor());
    }

    async function reconcile(
      name: string,
      input: unknown,
      options: Partial<ToolContext>,
    ): Promise<Reconciled> {
      const answer = await toolNamed(name).reconcile?.(input, contextFor(options));
      if (answer === undefined) throw new Error(`${name} cannot reconcile`);
      return answer;
    }

    const put = (path: string, content: string | Uint8Array) =>
      sandbox.writeFile(path, typeof content === "string" ? Buffer.from(content) : content);
    const started = (operationId: string) =>
      vi.waitUntil(
        async () => {
          await using execution = await sandbox.attach(operationId);
          execution?.result.catch(() => {});
          return execution !== undefined;
        },
        { timeout: 10_000 },
      );
    const get = async (path: string) => Buffer.from((await sandbox.readFile(path))?.bytes ?? []).toString();

    describe("what a call would change", () => {
      test("is shown as a diff, and changes nothing", async () => {
        await put("a/b.txt", "one\ntwo\n");
        const shown = await preview("write", { path: "a/b.txt", content: "one\n2\n" });
        expect(shown).toMatchObject({ type: "diff", basis: expect.stringMatching(/^[0-9a-f]{32}$/) });
        expect(shown?.text).toBe("--- a/a/b.txt\n+++ b/a/b.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
        expect(await get("a/b.txt")).toBe("one\ntwo\n");
        const edited = await preview("edit", {
          path: `${sandbox.root}/a/b.txt`,
          oldText: "two",
          newText: "2",
        });
        expect(edited).toEqual({ ...shown, basis: expect.stringMatching(/^[0-9a-f]{32}$/) });
        expect(await preview("write", { path: "a/b.txt", content: "one\ntwo\n" })).toMatchObject({
          text: expect.stringContaining("nothing changes"),
        });
      });

      test("has a basis that tells every other content from this one", async () => {
        const basis = async () => (await preview("write", { path: "f", content: "x" }))?.basis;
        const absent = await basis();
        await put("f", "");
        const empty = await basis();
        await put("f", "a");
        const one = await basis();
        expect(absent).toBe("absent");
        expect(new Set([absent, empty, one]).size).toBe(3);
        await put("f", "");
        expect(await basis()).toBe(empty);
      });

      test("is told in words where there is no text, or too much", async () => {
        await put("bin", new Uint8Array([0, 1, 2]));
        expect(await preview("write", { path: "bin", content: "now text" })).toMatchObject({
          type: "text",
          text: expect.stringMatching(/^Replaces bin, which is not text \(3 bytes\), by other content/),
          basis: expect.stringMatching(/^[0-9a-f]{32}$/),
        });
        const large = "x\n".repeat(700_000);
        expect(await preview("write", { path: "new", content: large })).toMatchObject({
          type: "text",
          text: expect.stringMatching(/^Makes new \(700,000 lines/),
          basis: "absent",
        });
        const long = await preview("write", { path: "new", content: "x\n".repeat(5_000) });
        expect(long?.text.split("\n")).toHaveLength(1_001);
        expect(long?.text).toMatch(/\[\.\.\. [\d,]+ lines more of this diff\]$/);
      });

      test("says where an edit would fail", async () => {
        await put("f", "one\n");
        const edit = (path: string) => preview("edit", { path, oldText: "two", newText: "2" });
        expect(await edit("f")).toMatchObject({
          type: "text",
          text: expect.stringMatching(/the call fails: f: oldText was not found/),
        });
        expect(await edit("g")).toMatchObject({
          text: expect.stringContaining("does not exist"),
          basis: "absent",
        });
      });

      test("is, of the shell, the command", async () => {
        expect(await preview("shell", { command: "rm -r x" })).toEqual({
          type: "command",
          text: "rm -r x",
        });
      });
    });

    describe("shell", () => {
      test("returns what was printed, and the details", async () => {
        const result = await run("shell", { command: "echo hello; echo oops >&2" });
        expect(result.content).toContain("hello");
        expect(result.content).toContain("oops");
        expect(result.isError).toBeUndefined();
        expect(result.details).toMatchObject({ exitCode: 0, signal: null, outputBytes: 11 });
      });

      test("names the exit status of a failure", async () => {
        const result = await run("shell", { command: "echo no; exit 3" });
        expect(result).toMatchObject({
          content: "no\n\n[exit status 3]",
          isError: true,
          details: { exitCode: 3 },
        });
      });

      test("says so when nothing was printed", async () => {
        expect((await run("shell", { command: "true" })).content).toBe("[no output, exit status 0]");
      });

      test("says what a shell without real programs has", async () => {
        const result = await run("shell", { command: "no-such-program" });
        expect(result.details).toMatchObject({ exitCode: 127 });
        expect(String(result.content).includes("only built-in commands")).toBe(
          !sandbox.capabilities.realPrograms,
        );
      });

      test("shows the output while it runs", async () => {
        const shown: ToolOutput[] = [];
        await run("shell", { command: "echo live" }, { emit: (output) => shown.push(output) });
        expect(shown).toContainEqual({ type: "output", stream: "stdout", text: "live\n" });
      });

      test.concurrent("is ended by its time limit", async () => {
        const result = await run("shell", { command: "sleep 30", timeoutSeconds: 1 });
        expect(result.timedOut).toBe(true);
        expect(result.content).toMatch(/timed out after \d+\.\d s/);
      });

      test.concurrent("is ended by a stop", async () => {
        const stop = new AbortController();
        const operationId = `op_stopped_${driver.kind}`;
        const running = run("shell", { command: "sleep 30" }, { signal: stop.signal, operationId });
        await started(operationId);
        stop.abort();
        const result = await running;
        expect(result.isError).toBe(true);
        expect(result.content).toMatch(/stopped after/);
      });

      test.concurrent("is left alone when the node has lost the session", async () => {
        const lost = new AbortController();
        const operationId = `op_fenced_${driver.kind}`;
        const command = "sleep 0.6; echo done > done.txt";
        const running = run("shell", { command }, { signal: lost.signal, operationId });
        await started(operationId);
        lost.abort(new AppError("fenced", "another node owns the session"));
        await expect(running).rejects.toThrow("another node");
        const answer = await reconcile("shell", { command: "" }, { operationId });
        expect(answer).toMatchObject({ type: "finished", result: { details: { exitCode: 0 } } });
        expect(await get("done.txt")).toBe("done\n");
      });

      test("keeps a long output in a file", async () => {
        const result = await run("shell", { command: "seq 1 30000" }, { callId: "call_long" });
        expect(result.details).toMatchObject({
          outputFile: ".holdfast/outputs/call_long.txt",
          outputBytes: 168_894,
        });
        expect(result.content).toMatch(/^1\n2\n/);
        expect(result.content).toMatch(/29999\n30000$/);
        expect(await get(".holdfast/outputs/call_long.txt")).toMatch(/^1\n2\n[\s\S]*30000\n$/);
      });

      test("collects a command that an earlier process started", async () => {
        const operationId = `op_before_${driver.kind}`;
        await using execution = await sandbox.exec({
          operationId,
          command: "echo once >> log; echo out",
          timeoutMs: 5000,
        });
        await execution.result;
        const answer = await reconcile("shell", { command: "" }, { operationId });
        expect(answer).toMatchObject({ type: "finished", result: { content: "out" } });
        expect(await get("log")).toBe("once\n");
      });

      test("does not claim to know of a command that nobody remembers", async () => {
        const answer = await reconcile("shell", { command: "" }, { operationId: "op_nobody" });
        expect(answer.type).toBe(sandbox.capabilities.survivesRestart ? "notStarted" : "lost");
      });

      test("says that a command never started when the sandbox is sure of it", async () => {
        const sure = { ...sandbox, capabilities: { ...sandbox.capabilities, survivesRestart: true } };
        const answer = await reconcile(
          "shell",
          { command: "" },
          { operationId: "op_x", sandbox: async () => sure },
        );
        expect(answer.type).toBe("notStarted");
      });

      test("is lost when its sandbox died", async () => {
        const result = Promise.reject(new AppError("unavailable", "gone"));
        result.catch(() => undefined);
        const died: Sandbox = {
          ...sandbox,
          attach: async (operationId) => ({
            operationId,
            output: (async function* () {})(),
            result,
            kill: async () => undefined,
            [Symbol.asyncDispose]: async () => undefined,
          }),
        };
        const answer = await reconcile("shell", { command: "" }, { sandbox: async () => died });
        expect(answer.type).toBe("lost");
      });
    });

    describe("read", () => {
      test("numbers the lines", async () => {
        await put("a.txt", "one\ntwo\n");
        const result = await run("read", { path: "a.txt" });
        expect(result.content).toBe("     1\tone\n     2\ttwo");
        expect(result.details).toMatchObject({ path: "a.txt", size: 8, firstLine: 1, lastLine: 2 });
      });

      test("reads a range and says how to go on", async () => {
        await put("a.txt", Array.from({ length: 50 }, (_, i) => `line ${i + 1}\n`).join(""));
        const result = await run("read", { path: `${sandbox.root}/a.txt`, offset: 10, limit: 2 });
        expect(result.content).toBe(
          "    10\tline 10\n    11\tline 11\n\n[lines 10 to 11 of a file of 391 bytes; go on with offset 12]",
        );
        expect((await run("read", { path: "a.txt", offset: 99 })).content).toBe("a.txt has only 50 lines.");
      });

      test("cuts long lines", async () => {
        await put("a.txt", `${"x".repeat(5000)}\n${"ä".repeat(400_000)}\nend\n`);
        const { content } = await run("read", { path: "a.txt" });
        expect(content).toMatch(
          /x{2000} \[\.\.\. 3\.0 KB more in this line\]\n {5}2\tä{2000} \[\.\.\. 796 KB more/,
        );
        expect(content).toMatch(/ {5}3\tend$/);
      });

      test("hides Windows line ends, shows an empty file and one without a last newline", async () => {
        await put("crlf", "a\r\nb");
        expect((await run("read", { path: "crlf" })).content).toBe("     1\ta\n     2\tb");
        await put("empty", "");
        expect((await run("read", { path: "empty" })).content).toBe("empty is empty.");
      });

      test("returns images as images, and describes other binary files", async () => {
        const png = pngImage(2, 1);
        await put("dot.png", png);
        expect(await run("read", { path: "dot.png" })).toEqual({
          content: [
            { type: "text", text: `dot.png (image/png, 2x1, ${png.length} bytes):` },
            { type: "image", mediaType: "image/png", data: png.toString("base64") },
          ],
          details: { path: "dot.png", size: png.length, mediaType: "image/png", width: 2, height: 1 },
        });
        await put("data.bin", Buffer.from([1, 0, 2]));
        expect((await run("read", { path: "data.bin" })).content).toBe(
          "data.bin is a binary file of 3 bytes, not text.",
        );
      });

      test.each([
        ["a.bmp", "BM\x36\0\0\0\0\0\0\0", "a.bmp is a BMP image (10 bytes), which cannot be shown."],
        ["a.tiff", "II*\0\x08\0\0\0", "a.tiff is a TIFF image (8 bytes), which cannot be shown."],
        ["a.heic", "\0\0\0\x18ftypheic\0\0\0\0", "a.heic is a HEIC image (16 bytes), which cannot be shown."],
        ["a.svg", "<svg/>\n", "     1\t<svg/>\n\n[a.svg is an SVG image; this is its source]"],
      ])("says what kind of image %s is", async (path, bytes, expected) => {
        await put(path, Buffer.from(bytes, "latin1"));
        expect((await run("read", { path })).content).toContain(expected);
        await put("cars.txt", "BMW\n");
        expect((await run("read", { path: "cars.txt" })).content).toBe("     1\tBMW");
      });

      test("scales a large image down, and says so", async () => {
        await put("wide.png", pngImage(3136, 8));
        const { content } = await run("read", { path: "wide.png" });
        expect(content).toMatchObject([
          { text: expect.stringMatching(/^wide\.png \(image\/png, 3136x8, .*; shown at 1568x4\):$/) },
          { type: "image", mediaType: "image/png" },
        ]);
      });

      test("refuses an image that is damaged, and one that is too large a file", async () => {
        const png = pngImage(2, 1);
        await put("half.png", png.subarray(0, -6));
        expect(await run("read", { path: "half.png" })).toMatchObject({
          isError: true,
          content: "The image half.png cannot be shown: it is damaged: its end is missing.",
        });
        await put("large.png", Buffer.concat([png, Buffer.alloc(34_000_000)]));
        expect(await run("read", { path: "large.png" })).toMatchObject({
          isError: true,
          content: expect.stringContaining("34 MB"),
        });
      });

      test("helps with a wrong name", async () => {
        await put("src/report.md", "x");
        expect((await run("read", { path: "src/reprot.md" })).content).toBe(
          "src/reprot.md does not exist. Did you mean src/report.md?",
        );
        expect((await run("read", { path: "scr/report.md" })).content).toMatch(
          /neither does the directory scr/,
        );
        expect((await run("read", { path: "src" })).content).toBe("src is a directory. Use list.");
      });

      test("cannot leave the workspace", async () => {
        await symlink("/etc/passwd", join(workspace, "link"));
        for (const path of ["/etc/passwd", "../state", "link"]) {
          await expect(run("read", { path })).rejects.toMatchObject({ code: "forbidden" });
        }
      });
    });

    describe("write", () => {
      test("makes and replaces files", async () => {
        expect((await run("write", { path: "a/b.txt", content: "one\ntwo\n" })).content).toBe(
          "Wrote a/b.txt (2 lines, 8 bytes).",
        );
        expect((await run("write", { path: "a/b.txt", content: "x" })).content).toBe(
          "Replaced a/b.txt (1 line, 1 bytes).",
        );
        expect(await get("a/b.txt")).toBe("x");
      });
    });

    describe("edit", () => {
      test("replaces an exact piece", async () => {
        await put("a.txt", "one\ntwo\nthree\n");
        const result = await run("edit", { path: "a.txt", oldText: "two", newText: "2" });
        expect(result.content).toBe("Replaced 1 occurrence in a.txt (line 2).");
        expect(await get("a.txt")).toBe("one\n2\nthree\n");
      });

      test("edits of one file at the same time all count", async () => {
        await put("a.txt", "a\nb\nc\nd\n");
        await Promise.all(
          ["a", "b", "c", "d"].map((letter) =>
            run("edit", { path: "a.txt", oldText: letter, newText: letter + letter }),
          ),
        );
        expect(await get("a.txt")).toBe("aa\nbb\ncc\ndd\n");
      });

      test("refuses with a hint, and leaves the file alone", async () => {
        await put("a.txt", "x\nx\n");
        expect(await run("edit", { path: "a.txt", oldText: "x", newText: "y" })).toMatchObject({
          isError: true,
          content: expect.stringContaining("lines 1, 2"),
        });
        expect(await run("edit", { path: "b.txt", oldText: "x", newText: "y" })).toMatchObject({
          isError: true,
        });
        await put("bin", Buffer.from([0xff, 0x78]));
        expect(await run("edit", { path: "bin", oldText: "x", newText: "y" })).toMatchObject({
          isError: true,
        });
        expect(await get("a.txt")).toBe("x\nx\n");
      });

      const change = { path: "a.txt", oldText: "one\n", newText: "one\nadded\n" };

      test("after a crash it is known whether it was done", async () => {
        await put("a.txt", "one\n");
        const operationId = `op_edit_${driver.kind}`;
        expect((await reconcile("edit", change, { operationId })).type).toBe("notStarted");
        await run("edit", change, { operationId });
        expect(await reconcile("edit", change, { operationId })).toMatchObject({
          type: "finished",
          result: { content: "Replaced 1 occurrence in a.txt (line 1)." },
        });
        await put("a.txt", "one\n");
        expect((await reconcile("edit", change, { operationId })).type).toBe("notStarted");
        await put("a.txt", "something else\n");
        expect((await reconcile("edit", change, { operationId })).type).toBe("lost");
      });
    });

    describe("list, glob and grep", () => {
      beforeEach(async () => {
        await put("README.md", "# Title\nneedle one\n");
        await put("src/main.py", "def needle():\n    return 'Needle (x)'\n");
        await put("src/deep/er/util.py", "pass\n");
        await put("node_modules/pkg/index.py", "needle\n");
      });

      test("list shows directories, then files", async () => {
        expect((await run("list", {})).content).toBe("node_modules/\nsrc/\nREADME.md  19 bytes");
        expect((await run("list", { path: "src/deep" })).content).toBe("er/");
        expect((await run("list", { path: "README.md" })).isError).toBe(true);
        expect((await run("list", { path: "nothing" })).isError).toBe(true);
      });

      test("glob finds files by name", async () => {
        expect((await run("glob", { pattern: "*.py" })).content).toBe("src/deep/er/util.py\nsrc/main.py");
        expect((await run("glob", { pattern: "node_modules/**/*.py" })).content).toBe(
          "node_modules/pkg/index.py",
        );
        expect((await run("glob", { pattern: "*.py", path: "src/deep" })).content).toBe(
          "src/deep/er/util.py",
        );
        expect((await run("glob", { pattern: "*.rs" })).content).toBe("No file matches *.rs.");
      });

      test("grep finds lines", async () => {
        await rm(join(workspace, "node_modules"), { recursive: true });
        const found = await run("grep", { pattern: "needle" });
        expect(String(found.content).split("\n").sort()).toEqual([
          "README.md:2:needle one",
          "src/main.py:1:def needle():",
        ]);
        expect((await run("grep", { pattern: "needle", path: "src", ignoreCase: true })).content).toBe(
          "src/main.py:1:def needle():\nsrc/main.py:2:    return 'Needle (x)'",
        );
        expect((await run("grep", { pattern: "needle", glob: "*.md" })).content).toBe(
          "README.md:2:needle one",
        );
        expect((await run("grep", { pattern: "'Needle (x)'", literal: true })).content).toBe(
          "src/main.py:2:    return 'Needle (x)'",
        );
        expect((await run("grep", { pattern: "x", path: "src/main.py" })).content).toBe(
          "src/main.py:2:    return 'Needle (x)'",
        );
        expect((await run("grep", { pattern: "absent" })).content).toBe("No match for absent.");
      });

      test("grep stops at its limit", async () => {
        await put("many.txt", "match\n".repeat(5000));
        const found = await run("grep", { pattern: "match", path: "many.txt", limit: 3 });
        expect(found.content).toBe(
          "many.txt:1:match\nmany.txt:2:match\nmany.txt:3:match\n\n[only the first 3 lines; narrow the search down]",
        );
      });

      // A shell in TypeScript takes seconds for so much, and many of them on a machine with other work.
      test("grep holds no more of a long line than it shows", { timeout: 60_000 }, async () => {
        await put("long.txt", `${"x".repeat(8_000_000)} match\nmatch\n`);
        const before = process.memoryUsage().rss;
        const found = await run("grep", { pattern: "match", path: "long.txt" });
        expect(
          String(found.content)
            .split("\n")
            .map((line) => line.slice(-8)),
        ).toEqual(["xxx [...]".slice(-8), ":2:match"]);
        expect(process.memoryUsage().rss - before).toBeLessThan(80_000_000);
      });

      test("grep explains a wrong pattern, and takes quotes for what they are", async () => {
        expect(await run("grep", { pattern: "(" })).toMatchObject({ isError: true });
        await run("grep", { pattern: "'; touch pwned; '", path: "src" });
        expect(await sandbox.stat("pwned")).toBeUndefined();
        await expect(run("grep", { pattern: "x", path: "/etc" })).rejects.toMatchObject({
          code: "forbidden",
        });
      });
    });
  });
}
