/**
 * A text of a tool or a person, unable to pass for the runtime's own words.
 *
 * What the runtime itself tells the model inside the transcript stands between tags (`notes.ts`), and the model trusts them.
 * A web page, a file or a command's output that contained such a tag could give orders in the runtime's name. So whatever
 * begins like one, also in other letters' case or with blanks and invisible characters in it, has its "<" written as "&lt;":
 * it reads the same and means nothing. A text without it is returned as it is, at the cost of one look.
 * @pure
 */
export function neutraliseMarkers(text: string): string {
  return text.replace(MARKER, "&lt;");
}

/** "<holdfast-" and "</holdfast-", or with a colon. */
const MARKER =
  /[<\uff1c](?=[\s\p{Cf}/]*h\p{Cf}*o\p{Cf}*l\p{Cf}*d\p{Cf}*f\p{Cf}*a\p{Cf}*s\p{Cf}*t[\s\p{Cf}]*[-:])/giu;
