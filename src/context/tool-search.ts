import { isRecord } from "../lib/json.ts";
import type { Tool } from "../tools/tool.ts";

/** Finds tools by what they are called, what they say of themselves, and what their parameters are called. */
export interface ToolIndex {
  /** The best matches, best first; ties in the order given. Empty when nothing matches. */
  search(query: string, limit: number): readonly Tool[];
}

/**
 * BM25 over few, short documents: a word counts more the fewer tools have it, and more in a name than in a description.
 * A tool whose whole name stands in the query comes first. @pure
 */
export function indexTools(tools: readonly Tool[]): ToolIndex {
  const documents = tools.map(toDocument);
  const averageLength = documents.reduce((sum, { length }) => sum + length, 0) / Math.max(1, tools.length);
  const holders = new Map<string, number>();
  for (const { words } of documents) {
    for (const word of words.keys()) holders.set(word, (holders.get(word) ?? 0) + 1);
  }
  const rarity = (word: string) => {
    const count = holders.get(word) ?? 0;
    return Math.log(1 + (documents.length - count + 0.5) / (count + 0.5));
  };
  const vocabulary = [...holders.keys()];

  return {
    search(query, limit) {
      const terms = [...new Set(wordsOf(query))].map((term) => expand(term, vocabulary));
      const named = new Set(query.split(/[^a-zA-Z0-9_-]+/));
      const scored = documents.map((document) => ({
        tool: document.tool,
        score: named.has(document.tool.name) ? Number.MAX_VALUE : scoreOf(document, terms),
      }));
      return scored
        .filter(({ score }) => score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, limit)
        .map(({ tool }) => tool);
    },
  };

  function scoreOf({ words, length }: Document, terms: readonly Term[]): number {
    let score = 0;
    for (const term of terms) {
      let best = 0;
      for (const { word, weight } of term) {
        const frequency = words.get(word);
        if (frequency === undefined) continue;
        const saturated =
          (frequency * (SATURATION + 1)) /
          (frequency + SATURATION * (1 - LENGTH_SHARE + (LENGTH_SHARE * length) / averageLength));
        best = Math.max(best, weight * rarity(word) * saturated);
      }
      score += best;
    }
    return score;
  }
}

/** The usual constants of BM25. */
const SATURATION = 1.2;
const LENGTH_SHARE = 0.75;

const NAME_WEIGHT = 4;
const PARAMETER_WEIGHT = 2;

interface Document {
  readonly tool: Tool;
  /** How often each word stands in it, weighted by where. */
  readonly words: ReadonlyMap<string, number>;
  readonly length: number;
}

function toDocument(tool: Tool): Document {
  const words = new Map<string, number>();
  let length = 0;
  const add = (text: string, weight: number) => {
    for (const word of wordsOf(text)) {
      words.set(word, (words.get(word) ?? 0) + weight);
      length += 1;
    }
  };
  add(tool.name, NAME_WEIGHT);
  add(tool.description, 1);
  for (const { name, description } of parametersOf(tool)) {
    add(name, PARAMETER_WEIGHT);
    add(description, 1);
  }
  return { tool, words, length };
}

function parametersOf({ inputSchema }: Tool) {
  const { properties } = inputSchema;
  if (!isRecord(properties)) return [];
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    description: isRecord(schema) && typeof schema.description === "string" ? schema.description : "",
  }));
}

/** The word itself, and words that begin with it or that it begins with, which count less. */
type Term = readonly { readonly word: string; readonly weight: number }[];

const SHORTEST_BEGINNING = 3;

function expand(term: string, vocabulary: readonly string[]): Term {
  return vocabulary.flatMap((word) => {
    if (word === term) return [{ word, weight: 1 }];
    const [short, long] = word.length < term.length ? [word, term] : [term, word];
    return short.length >= SHORTEST_BEGINNING && long.startsWith(short)
      ? [{ word, weight: short.length / long.length / 2 }]
      : [];
  });
}

/** "createInvoice_items" is "create", "invoice", "item". */
function wordsOf(text: string): readonly string[] {
  const spaced = text.replaceAll(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1 $2").toLowerCase();
  return (spaced.match(/[\p{L}\p{N}]+/gu) ?? []).map(singular);
}

function singular(word: string): string {
  if (word.length > 4 && word.endsWith("ies")) return `${word.slice(0, -3)}y`;
  return word.length > 3 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;
}
