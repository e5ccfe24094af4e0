import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyCashier } from "./cashier.ts";
import { holdfast, startHoldfast, startOnTerminal } from "./holdfast-process.ts";

/** Approvals as people and scripts meet them: in a pipe, at the terminal, over HTTP. The agent is `examples/approvals`. */

let agent: string;
beforeEach(async () => {
  agent = await copyCashier();
});
afterEach(() => rm(agent, { recursive: true, force: true }));

const here = (...words: readonly string[]) => holdfast(words, { cwd: agent });
const json = async (...words: readonly string[]) => JSON.parse((await here(...words, "--json")).stdout);

interface Asked {
  readonly id: string;
  readonly request: { readonly kind: string; readonly call: { readonly input: { readonly amount: number } } };
}

async function openQuestions(...words: readonly string[]): Promise<readonly Asked[]> {
  return (await json("approvals", ...words)).interrupts;
}

const idOf = (asked: readonly Asked[], amount: number) =>
  asked.find(({ request }) => request.call.input.amount === amount)?.id ?? "none";

describe("in a pipe", () => {
  test("from the question to the end, step by step", async () => {
    const waiting = await here("run", "Pay them back.", "--session", "s1");
    expect(waiting.exitCode).toBe(11);
    expect(waiting.stdout).toContain('refund  {"order":"4711","amount":30} · done');
    expect(waiting.stdout).toContain(
      "risk: cannot be taken back, reaches outside: 120 dollars leave the shop",
    );
    expect(waiting.stdout).toContain('The rule "ask: refund(amount>50) (harness.json)" asks');
    const asked = await openQuestions();
    const [large, small] = [idOf(asked, 120), idOf(asked, 80)];
    expect(waiting.stdout).toContain(`next     holdfast approve ${large}\n`);
    expect(waiting.stdout).toContain(`holdfast reject ${small} --feedback "..."\n`);
    expect(waiting.stdout).toContain("holdfast run --session s1\n");

    const table = await here("approvals");
    expect(table.stdout).toMatch(/^ID +SESSION +AGENT +KIND +WHAT +ASKED +EXPIRES\n/);
    expect(table.stdout).toMatch(
      /s1 +cashier +approval +refund {2}\{"order":"4713","amount":80\} .* in (4 h|3 h)/,
    );

    const which = await here("approve", "s1");
    expect(which).toMatchObject({ exitCode: 6, stderr: expect.stringContaining("asks 2 questions") });
    expect(which.stderr).toContain(`${large}  refund`);

    const misfit = await here("approve", large, "--edit", '{"amount":"much"}');
    expect(misfit).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("do not fit refund") });
    expect(await here("interrupts", "answer", large, "--raise", "5")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("Possible: approve, edit, reject, respond"),
    });

    const edited = await here("approve", large, "--edit", '{"order":"4712","amount":60}', "--as", "ada");
    expect(edited.stdout).toContain(
      'changed: refund {"order":"4712","amount":120} ({"order":"4712","amount":60})',
    );
    expect(edited.stdout).toContain("1 question of the session is still open:\n  holdfast approve s1\n");
    const second = await here("reject", large, "--as", "bob");
    expect(second).toMatchObject({
      exitCode: 6,
      stderr: expect.stringMatching(/ada has answered this already, at .* The answer was: changed/),
    });

    const shown = await here("interrupts", "show", "s1");
    expect(shown.stdout).toContain('"amount": 80');
    expect(shown.stdout).toMatch(/answers +approve, edit, reject, respond\n/);
    expect((await here("interrupts", "show", large)).stdout).toMatch(/answer +changed by ada: .*\(cli\)/);

    const rejected = await here("reject", "s1", "--feedback", "not on a Friday", "--as", "bob");
    expect(rejected.stdout).toContain("holdfast run --session s1\n");
    const done = await here("run", "--session", "s1");
    expect(done).toMatchObject({ exitCode: 0 });
    expect(done.stdout).toMatch(/▸ changed by ada after [^:]+: \{"order":"4712","amount":60\} \(refund/);
    expect(done.stdout).toMatch(/▸ rejected by bob after [^:]+: not on a Friday/);
    expect(done.stdout).toContain("not started: rejected by bob");
    expect(done.stdout).toContain("One of them was not paid back: ");
    expect(await openQuestions()).toEqual([]);
    expect((await here("approvals", "--status", "answered")).stdout).toContain(
      "rejected by bob: not on a Friday",
    );
  });

  test("everything that a session asks at once, never for good where a rule asks, and what a tool wants to know", async () => {
    await here("run", "Pay them back.", "--session", "s1");
    expect(await here("approve", "s1", "--all", "--always", "session", "--as", "ada")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("a rule asks every time"),
    });
    const all = await here("approve", "s1", "--all", "--as", "ada");
    expect(all).toMatchObject({ exitCode: 0 });
    expect(all.stdout.match(/approved: refund/g)).toHaveLength(2);
    const asks = await here("run", "--session", "s1");
    expect(asks.exitCode).toBe(11);
    expect(asks.stdout).toContain("⏸ Order 4712 was paid in two ways. Where is the money to go?");
    expect(await here("approve", "s1")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("Possible: respond, reject"),
    });
    expect(await here("interrupts", "answer", "s1", "--respond", '{"to":"cash"}')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("not what was asked for"),
    });
    expect(await here("interrupts", "answer", "s1", "--respond", '{"to":"card"}')).toMatchObject({
      exitCode: 0,
    });
    const breakpoint = await here("run", "--session", "s1");
    expect(breakpoint).toMatchObject({ exitCode: 11, stdout: expect.stringContaining("close_order") });
    expect(await here("approve", "s1", "--always", "session")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("cannot be approved for good"),
    });
    await here("approve", "s1");
    const done = await here("run", "--session", "s1");
    expect(done).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("Paid back, and order 4713 is closed."),
    });
  });

  test("what is named wrongly is told", async () => {
    await here("run", "Pay them back.", "--session", "s1");
    expect(await here("approve", "s2")).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('no question, and no session, "s2"'),
    });
    expect(await here("approve", "int_")).toMatchObject({
      exitCode: 6,
      stderr: expect.stringContaining("several questions begin with"),
    });
    expect(await here("interrupts", "answer", "s1")).toMatchObject({ exitCode: 2 });
    expect(await here("interrupts", "answer", "s1", "--approve", "--reject")).toMatchObject({ exitCode: 2 });
    expect(await here("approve", "s1", "--all", "--edit", "no json")).toMatchObject({ exitCode: 2 });
  });
});

describe("at a terminal", () => {
  test("one question after the other, with the answers that fit", async () => {
    const run = startOnTerminal(["run", "Pay them back."], { cwd: agent });
    await run.until(/1 of 2: refund[^\n]*120[\s\S]*\[y\] once .*all of it: /);
    run.type("?\r");
    await run.until(/"amount": 120/);
    run.type("x\r");
    await run.until(/Type y, e, r, s or \?\./);
    run.type("e\r");
    await run.until(/The arguments, as one line of JSON: /);
    run.type('{"order":"4712","amount":110}\r');
    await run.until(/2 of 2: refund[^\n]*80[\s\S]*all of it: /);
    run.type("y\r");
    // 110 dollars are more than the tool pays without asking.
    await run.until(/to \(which of the two\) \[card, voucher\]: /);
    run.type("cash\r");
    await run.until(/That is not one of card, voucher\./);
    run.type("voucher\r");
    await run.until(/close_order[\s\S]*\[y\] once {2}\[e\] edit/);
    run.type("r\r");
    await run.until(/What is the agent to know/);
    run.type("leave it open\r");
    const { exitCode, stdout } = await run.ended;
    expect(exitCode).toBe(0);
    expect(stdout).toContain("the order stays open");
    expect(stdout).toMatch(/▸ rejected by \S+ after .*: leave it open/);
  });

  test("what is left open waits, and is told how to be answered", async () => {
    const run = startOnTerminal(["run", "Pay them back.", "--session", "s1"], { cwd: agent });
    await run.until(/1 of 2: [\s\S]*all of it: /);
    run.type("\r");
    await run.until(/2 of 2: [\s\S]*all of it: /);
    run.type("\r");
    const { exitCode, stdout } = await run.ended;
    expect(exitCode).toBe(11);
    expect(stdout).toContain("holdfast approve int_");
  });

  test("an answer from elsewhere ends the prompt, and the run goes on", async () => {
    const run = startOnTerminal(["run", "Pay them back.", "--session", "s1"], { cwd: agent });
    await run.until(/1 of 2: [\s\S]*all of it: /);
    const asked = await openQuestions();
    await here("reject", idOf(asked, 120), "--as", "bob", "--feedback", "no");
    await run.until(/Settled elsewhere \(cli\): rejected by bob: no\.[\s\S]*2 of 2: [\s\S]*all of it: /);
    await here("reject", idOf(asked, 80), "--as", "bob");
    const { exitCode, stdout } = await run.ended;
    expect(exitCode).toBe(0);
    expect(stdout).toContain("One of them was not paid back");
  });

  test("Ctrl-C at the prompt stops the run", async () => {
    const run = startOnTerminal(["run", "Pay them back."], { cwd: agent });
    await run.until(/1 of 2: [\s\S]*all of it: /);
    run.type("\u0003");
    expect((await run.ended).exitCode).toBe(130);
  });
});

test("over HTTP, the same commands, and a prompt that another caller answers", async () => {
  const server = startHoldfast(["start", "--port", "0"], { cwd: agent });
  try {
    const [url = ""] = await server.until(/http:\/\/127\.0\.0\.1:\d+/);
    const invoked = startOnTerminal(["invoke", "Pay them back.", "--url", url, "--session", "s1"], {
      cwd: agent,
    });
    await invoked.until(/1 of 2: [\s\S]*all of it: /);
    const asked = await openQuestions("--url", url);
    const approved = await here("approve", idOf(asked, 120), "--url", url, "--as", "ada");
    expect(approved).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("approved: refund") });
    expect(await here("reject", idOf(asked, 120), "--url", url, "--as", "bob")).toMatchObject({
      exitCode: 6,
      stderr: expect.stringContaining("ada has answered"),
    });
    await invoked.until(/Settled elsewhere \(http\): approved by ada\.[\s\S]*2 of 2: [\s\S]*all of it: /);
    invoked.type("y\r");
    await invoked.until(/\[card, voucher\]: /);
    invoked.type("card\r");
    await invoked.until(/close_order[\s\S]*all of it: /);
    invoked.type("y\r");
    const { exitCode, stdout } = await invoked.ended;
    expect(exitCode).toBe(0);
    expect(stdout).toContain("Paid back, and order 4713 is closed.");
  } finally {
    server.signal("SIGTERM");
    await server.ended;
  }
});
