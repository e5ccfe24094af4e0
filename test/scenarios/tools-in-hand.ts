import { z } from "zod";
import { defineTool, type Tool } from "../../src/index.ts";

/**
 * A tool whose calls are under way until the test ends them, each named by its argument `n`. `seen` tells in what order they
 * began and ended: "pay 1 begins", "pay 1 ends".
 */
export interface ToolInHand {
  readonly tool: Tool;
  began(n: number): Promise<void>;
  end(n: number, how?: { readonly fails?: true }): void;
}

export function toolInHand(
  definition: Pick<Tool, "name"> & Partial<Pick<Tool, "effect" | "parallel">>,
  seen: string[] = [],
): ToolInHand {
  const { name } = definition;
  const begins = slots<void>();
  const ends = slots<boolean>();
  const tool = defineTool({
    ...definition,
    description: "",
    input: z.object({ n: z.number() }),
    async run({ n }, { signal }) {
      seen.push(`${name} ${n} begins`);
      begins(n).resolve();
      const aborted = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
      const fails = await Promise.race([ends(n).promise, aborted.promise]);
      seen.push(`${name} ${n} ends`);
      return fails ? { content: `${n} failed`, isError: true } : `${n} done`;
    },
  });
  return {
    tool,
    began: (n) => begins(n).promise,
    end: (n, { fails = false }: { readonly fails?: boolean } = {}) => ends(n).resolve(fails),
  };
}

function slots<T>(): (n: number) => PromiseWithResolvers<T> {
  const all = new Map<number, PromiseWithResolvers<T>>();
  return (n) => {
    const slot = all.get(n) ?? Promise.withResolvers<T>();
    all.set(n, slot);
    return slot;
  };
}
