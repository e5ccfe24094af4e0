/** The text of a message or result, for questions to hooks. */
export function textOf(blocks: readonly { readonly type: string; readonly text?: string }[]): string {
  return blocks.flatMap(({ type, text }) => (type === "text" && text !== undefined ? [text] : [])).join("\n");
}
