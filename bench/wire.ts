/** The three wire formats that the model server speaks: an answer in pieces becomes the text of server-sent events. */
export type WireName = "anthropic" | "chat" | "responses";

export interface AnswerPlan {
  readonly model: string;
  /** Pieces of text, each one event. */
  readonly text: readonly string[];
  readonly calls: readonly { readonly id: string; readonly name: string; readonly input: unknown }[];
  readonly inputTokens: number;
}

export interface Wire {
  /** The end of the path of its requests. */
  readonly path: string;
  /** What stands once in a request body for each tool result in it. */
  readonly resultMark: string;
  /** One string per piece of the answer; what stands before and after the pieces belongs to the nearest one. */
  encode(answer: AnswerPlan): readonly string[];
}

export const wires: Readonly<Record<WireName, Wire>> = {
  anthropic: { path: "/messages", resultMark: '"type":"tool_result"', encode: anthropicMessages },
  chat: { path: "/chat/completions", resultMark: '"role":"tool"', encode: chatCompletions },
  responses: { path: "/responses", resultMark: '"type":"function_call_output"', encode: openaiResponses },
};

function anthropicMessages({ model, text, calls, inputTokens }: AnswerPlan): readonly string[] {
  const event = (data: { readonly type: string }) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const usage = { input_tokens: inputTokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const message = {
    id: "msg_bench",
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usage, output_tokens: 1 },
  };
  const parts: string[] = [event({ type: "message_start", ...{ message } })];
  let index = 0;
  const open = (block: object) => event({ type: "content_block_start", ...{ index, content_block: block } });
  const delta = (piece: object) => event({ type: "content_block_delta", ...{ index, delta: piece } });
  const close = () => event({ type: "content_block_stop", ...{ index: index++ } });
  if (text.length > 0) {
    append(parts, open({ type: "text", text: "" }));
    for (const piece of text) parts.push(delta({ type: "text_delta", text: piece }));
    append(parts, close());
  }
  for (const { id, name, input } of calls) {
    const block = { type: "tool_use", id, name, input: {} };
    const argument = { type: "input_json_delta", partial_json: JSON.stringify(input) };
    parts.push(open(block) + delta(argument) + close());
  }
  const end = { stop_reason: calls.length > 0 ? "tool_use" : "end_turn", stop_sequence: null };
  const outputTokens = text.length + 20 * calls.length;
  append(
    parts,
    event({ type: "message_delta", ...{ delta: end, usage: { ...usage, output_tokens: outputTokens } } }) +
      event({ type: "message_stop" }),
  );
  return parts;
}

function chatCompletions({ model, text, calls, inputTokens }: AnswerPlan): readonly string[] {
  const chunk = (choices: readonly object[], rest: object = {}) =>
    `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 0, model, choices, ...rest })}\n\n`;
  const delta = (piece: object, finish: string | null = null) =>
    chunk([{ index: 0, delta: piece, finish_reason: finish }]);
  const parts: string[] = [delta({ role: "assistant", content: "" })];
  for (const content of text) parts.push(delta({ content }));
  for (const [index, { id, name, input }] of calls.entries()) {
    const call = { index, id, type: "function", function: { name, arguments: JSON.stringify(input) } };
    parts.push(delta({ tool_calls: [call] }));
  }
  const outputTokens = text.length + 20 * calls.length;
  const usage = {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
  append(
    parts,
    `${delta({}, calls.length > 0 ? "tool_calls" : "stop") + chunk([], { usage })}data: [DONE]\n\n`,
  );
  return parts;
}

function openaiResponses({ model, text, calls, inputTokens }: AnswerPlan): readonly string[] {
  let sequence = 0;
  const event = (type: string, data: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...data })}\n\n`;
  const response = (status: string, rest: object = {}) => ({
    response: { id: "resp_bench", object: "response", created_at: 0, status, model, output: [], ...rest },
  });
  const parts: string[] = [event("response.created", response("in_progress", { usage: null }))];
  let output = 0;
  if (text.length > 0) {
    const item_id = "msg_bench";
    const item = { id: item_id, type: "message", role: "assistant", status: "in_progress", content: [] };
    const at = { item_id, output_index: output++, content_index: 0 };
    const part = { type: "output_text", text: "", annotations: [] };
    append(parts, event("response.output_item.added", { output_index: at.output_index, item }));
    append(parts, event("response.content_part.added", { ...at, part }));
    for (const delta of text) parts.push(event("response.output_text.delta", { ...at, delta }));
    const whole = { ...part, text: text.join("") };
    append(parts, event("response.output_text.done", { ...at, text: whole.text }));
    append(parts, event("response.content_part.done", { ...at, part: whole }));
    const done = { ...item, status: "completed", content: [whole] };
    append(parts, event("response.output_item.done", { output_index: at.output_index, item: done }));
  }
  for (const { id, name, input } of calls) {
    const output_index = output++;
    const args = JSON.stringify(input);
    const item = { id: `fc_${id}`, type: "function_call", call_id: id, name, status: "in_progress" };
    const at = { item_id: item.id, output_index };
    parts.push(
      event("response.output_item.added", { output_index, item: { ...item, arguments: "" } }) +
        event("response.function_call_arguments.delta", { ...at, delta: args }) +
        event("response.function_call_arguments.done", { ...at, arguments: args }) +
        event("response.output_item.done", {
          output_index,
          item: { ...item, status: "completed", arguments: args },
        }),
    );
  }
  const outputTokens = text.length + 20 * calls.length;
  const usage = {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
  append(parts, event("response.completed", response("completed", { usage })));
  return parts;
}

function append(parts: string[], text: string): void {
  parts.push((parts.pop() ?? "") + text);
}
