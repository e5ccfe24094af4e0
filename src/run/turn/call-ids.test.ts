import { describe, expect, it } from "vitest";
import { call, text } from "../../testing/log-builder.ts";
import { createCallIds } from "./call-ids.ts";

const idsOf = (blocks: readonly { readonly type: string }[]) =>
  blocks.flatMap((block) => ("callId" in block ? [String(block.callId)] : []));

describe("the id of a call", () => {
  it.each([
    ["is the provider's where that is one", "toolu_01A09q90qw90lq91", true],
    ["is another one where the provider's is short: it may come again", "call_1", false],
    ["is another one where the provider's could not be sent to others", "functions.look:0 a", false],
    ["is another one where the provider's is too long", "x".repeat(65), false],
    ["is another one where the session has had the provider's", "call_used_before", false],
  ])("%s", (_name, providerId, isKept) => {
    const ids = createCallIds({ callIds: new Set(["call_used_before"]), knowsAllCallIds: true });
    const callId = ids.begin(providerId);
    expect(callId === providerId).toBe(isKept);
    expect(callId).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  });

  it("is another one where the session may have had the provider's before a compaction", () => {
    const ids = createCallIds({ callIds: new Set(), knowsAllCallIds: false });
    expect(ids.begin("toolu_01A09q90qw90lq91")).not.toBe("toolu_01A09q90qw90lq91");
  });

  it("is the same in deltas, parts and the whole answer", () => {
    const ids = createCallIds({ callIds: new Set(), knowsAllCallIds: true });
    const first = ids.begin("0");
    expect(ids.current("0")).toBe(first);
    expect(idsOf(ids.translate([text("so"), call("0", "a")]))).toEqual([first]);
    const second = ids.begin("1");
    expect(idsOf(ids.translate([text("so"), call("0", "a"), call("1", "b")]))).toEqual([first, second]);
  });

  it("is its own, also where the provider gives several calls one id", () => {
    const ids = createCallIds({ callIds: new Set(), knowsAllCallIds: true });
    const first = ids.begin("toolu_0000000001");
    const second = ids.begin("toolu_0000000001");
    expect(second).not.toBe(first);
    const both = [call("toolu_0000000001", "a"), call("toolu_0000000001", "b")];
    expect(idsOf(ids.translate(both))).toEqual([first, second]);
    expect(idsOf(ids.translate(both))).toEqual([first, second]);
  });

  it("stays the provider's when the answer is recorded meanwhile", () => {
    const callIds = new Set<string>();
    const ids = createCallIds({ callIds, knowsAllCallIds: true });
    const blocks = [call("toolu_0000000001", "a")];
    expect(idsOf(ids.translate(blocks))).toEqual(["toolu_0000000001"]);
    callIds.add("toolu_0000000001");
    expect(idsOf(ids.translate(blocks))).toEqual(["toolu_0000000001"]);
  });
});
