import type { Risk } from "../log/entry.ts";
import type { Place } from "./paths.ts";

const REVERSIBILITIES = ["none", "undoable", "hard", "irreversible"] as const;
const REACHES = ["workspace", "session", "outside"] as const;

export const NO_RISK: Risk = { reversibility: "none", reach: "workspace", why: [] };

/** Of each dimension the worst; the reasons of those that make it so. */
export function worst(risks: readonly Risk[]): Risk {
  const reversibility =
    REVERSIBILITIES.findLast((each) => risks.some((risk) => risk.reversibility === each)) ?? "none";
  const counting = risks.filter((risk) => risk.reversibility !== "none");
  const reach =
    REACHES.findLast((each) =>
      (counting.length > 0 ? counting : risks).some((risk) => risk.reach === each),
    ) ?? "workspace";
  const blamed = counting.filter(
    (risk) => risk.reversibility === reversibility || (risk.reach === reach && reach !== "workspace"),
  );
  return { reversibility, reach, why: [...new Set(blamed.flatMap(({ why }) => why))].slice(0, 8) };
}

/** Of changing what lies there. */
export function riskOfWriting(place: Place): Risk {
  if (place.type === "unknown") {
    return { reversibility: "hard", reach: "outside", why: ["which file it changes is not known before"] };
  }
  if (place.type === "outside") {
    const isTemporary = place.path.startsWith("/tmp/");
    return {
      reversibility: isTemporary ? "undoable" : "hard",
      reach: isTemporary ? "session" : "outside",
      why: [`${place.path} is outside of the workspace`],
    };
  }
  return /(?:^|\/)\.git(?:\/|$)/.test(place.path)
    ? {
        reversibility: "hard",
        reach: "workspace",
        why: [`${place.path}: what is in .git decides what git runs`],
      }
    : { reversibility: "undoable", reach: "workspace", why: [`it changes ${place.path}`] };
}
