import { shellWord } from "./shell-word.ts";

export interface NamedPlace {
  readonly url?: string | undefined;
  readonly agentPath?: string | undefined;
  readonly dataDir?: string | undefined;
}

/** The options that name the place of a session again, for a command that a person may copy. */
export function placeWords({ url, agentPath, dataDir }: NamedPlace): readonly string[] {
  return [
    ...(url === undefined ? [] : ["--url", shellWord(url)]),
    ...(agentPath === undefined ? [] : ["--agent", shellWord(agentPath)]),
    ...(dataDir === undefined ? [] : ["--data-dir", shellWord(dataDir)]),
  ];
}

/** A question's message, with the place in the command that answers it. */
export function withPlace(message: string, place: readonly string[]): string {
  if (place.length === 0) return message;
  return message.replace(/(?<=holdfast interrupts answer )\S+/, (id) => [id, ...place].join(" "));
}
