/**
 * What the runtime itself says to the model inside the transcript stands between these tags, so that the model can tell it
 * from what people and tools say. Text of tools and people cannot contain them (`neutraliseMarkers`).
 */
const TAG = "holdfast-note";

/** `from`: "hook lint", "environment". */
export function noteText(from: string, text: string): string {
  return `<${TAG} from="${from.replaceAll('"', "&quot;")}">\n${text}\n</${TAG}>`;
}

export function isNote(text: string): boolean {
  return text.startsWith(`<${TAG} `);
}

/** What the request for a summary says, and no other note. */
export const SUMMARY_REQUEST = "Write a summary of it now";

export function isSummaryRequest(text: string): boolean {
  return isNote(text) && text.includes(SUMMARY_REQUEST);
}

/** What the question says whether a call may start, and no other note. */
export const CLASSIFICATION_REQUEST = "Decide now whether this call may start";

export function isClassificationRequest(text: string): boolean {
  return isNote(text) && text.includes(CLASSIFICATION_REQUEST);
}

/** What stands in the place of a tool result that was cleared to make room. */
export function clearedText(tool: string, file: string | null): string {
  const where =
    file === null
      ? `It was not kept: call ${tool} again if you need it.`
      : `The whole of it is in ${file}: read it there if you need it.`;
  return noteText("context", `This old result was cleared to make room. ${where}`);
}
