import { withoutUndefined } from "../lib/json.ts";
import { utcDay } from "../lib/units.ts";
import type { Entry, RunEnd, RunFailed, RunFinished, RunStarted } from "./entry.ts";
import {
  applyAnswer,
  applyClassified,
  applyModelCalled,
  applyPart,
  applyToolFinished,
  applyToolStarted,
  loseCall,
  spend,
} from "./fold-answers.ts";
import { applyFork, applyMove } from "./fold-branches.ts";
import { applyCompacted, applyResultsCleared } from "./fold-compaction.ts";
import { applyHook } from "./fold-hooks.ts";
import { applyAnswerOfPerson, applyQuestion, goOn } from "./fold-interrupts.ts";
import { addNote, applyStop, defer, takeDeferred, updateRun } from "./fold-messages.ts";
import { applyWorkspaceSaved, beginWorkspace, moveWorkspace, noteChange } from "./fold-workspace.ts";
import {
  BLANK_RUN,
  type Draft,
  emptyState,
  type RunState,
  type SessionState,
  type Unanswered,
} from "./state.ts";

/** @pure */
export function fold(entries: Iterable<Entry>): SessionState {
  const state = emptyState();
  for (const entry of entries) advance(state, entry);
  return state;
}

/**
 * Applies one entry, in place. Entries of kinds that a newer release added change nothing here but the head, so that
 * different releases can work on one log.
 */
export function advance(state: Draft, entry: Entry): void {
  state.headId = entry.id;
  state.headSeq = entry.seq;
  switch (entry.type) {
    case "sessionCreated":
      state.agent = entry.agent;
      if (entry.forkedFrom !== undefined) applyFork(state, entry);
      beginWorkspace(state, entry);
      return;
    case "userMessage": {
      const { inboxId, blocks, delivery = "steer", model, actor } = entry;
      defer(state, { inboxId, blocks, delivery, ...withoutUndefined({ model, actor }), stopped: false });
      return;
    }
    case "runStarted":
      state.run = newRun(entry, state.unanswered);
      state.unanswered = null;
      return;
    case "runResumed":
      if (entry.lostCall) loseCall(state);
      updateRun(state, (run) => ({ ...run, resumes: run.resumes + 1, calling: false }));
      return;
    case "contextOpened":
      state.context = entry;
      state.toldDay = utcDay(entry.at);
      return;
    case "contextAdded":
      if (entry.source === "environment") state.toldDay = utcDay(entry.at);
      if (entry.mode !== undefined) state.toldMode = entry.mode;
      addNote(state, entry.source, entry.text);
      return;
    case "modelCalled":
      applyModelCalled(state, entry);
      return;
    case "modelFailed": {
      // A summary that fails is a failed compaction, and no failure of the turn.
      const { attempt, failure, purpose } = entry;
      if (entry.lostCall) loseCall(state);
      updateRun(state, (run) => ({
        ...run,
        calling: false,
        // What is kept of an answer is counted with it.
        reservedUsd: run.part === null ? 0 : run.reservedUsd,
        resumes: 0,
        failures: purpose === undefined ? [...run.failures, { attempt, failure }] : run.failures,
      }));
      return;
    }
    case "modelSwitched":
      updateRun(state, (run) => ({
        ...run,
        model: entry.to,
        givenUp: [...run.givenUp, entry.from],
        failures: [],
      }));
      return;
    case "answerPart":
      applyPart(state, entry);
      return;
    case "assistantMessage":
      applyAnswer(state, entry);
      return;
    case "toolStarted":
      applyToolStarted(state, entry);
      noteChange(state, entry);
      return;
    case "toolFinished":
      applyToolFinished(state, entry);
      return;
    case "hookDecided":
      applyHook(state, entry);
      return;
    case "resultsCleared":
      applyResultsCleared(state, entry);
      return;
    case "compacted":
      applyCompacted(state, entry);
      return;
    case "compactionFailed":
      spend(state, entry);
      state.compactionFailedAt = entry.tokens;
      updateRun(state, (run) => ({ ...run, calling: false, compactions: [...run.compactions, entry.tier] }));
      return;
    case "callClassified":
      applyClassified(state, entry);
      return;
    case "modeChanged":
      state.mode = entry.mode;
      goOn(state);
      return;
    case "ruleAdded": {
      const { scope, list, rule } = entry;
      state.rules = [...state.rules, { scope, list, rule }];
      goOn(state);
      return;
    }
    case "interrupted":
      applyQuestion(state, entry);
      return;
    case "interruptVoted":
      return;
    case "runPaused":
      updateRun(state, (run) => ({ ...run, paused: true }));
      return;
    case "interruptResolved":
      applyAnswerOfPerson(state, entry);
      return;
    case "headMoved":
      applyMove(state, entry);
      moveWorkspace(state, entry);
      return;
    case "workspaceSaved":
      applyWorkspaceSaved(state, entry);
      return;
    case "stopRequested":
      applyStop(state);
      return;
    case "runFinished":
      if (entry.lostCall) loseCall(state);
      endRun(state, entry, entry.reason);
      return;
    case "runFailed":
      endRun(state, entry, "failed");
      return;
  }
}

function newRun({ runId, model, at }: Entry & RunStarted, unanswered: Unanswered | null): RunState {
  const { stopRequested = false, actors = [] } = unanswered ?? {};
  return { ...BLANK_RUN, id: runId, model, startedAt: at, stopRequested, actors };
}

function endRun(state: Draft, { runId, left = [] }: RunFinished | RunFailed, end: RunEnd | "failed"): void {
  const unseen = state.run?.unseen ?? null;
  // Earlier releases left none of those.
  if (unseen?.messages.some((inboxId) => left.includes(inboxId))) state.unanswered = unseen;
  state.run = null;
  state.lastRun = { runId, end };
  // What was decided about a message holds until a model has seen it.
  for (const [key, { point }] of state.hooks) if (point !== "input") state.hooks.delete(key);
  takeDeferred(state);
}
