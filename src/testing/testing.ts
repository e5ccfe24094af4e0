/** What tests of agents and of Holdfast's own ports need. Published as `holdfast/testing`. */
export { loadScript, type Script, type ScriptTurn } from "../models/scripted/script.ts";
export {
  createScriptedModel,
  type ScriptedModel,
  type ScriptedModelOptions,
} from "../models/scripted/scripted.ts";
export { createFakeClock, type FakeClock } from "./fake-clock.ts";
export { importContract } from "./import-contract.ts";
export { noticesContract } from "./notices-contract.ts";
export { retentionContract } from "./retention-contract.ts";
export { type SandboxCase, type SandboxSubject, sandboxContract } from "./sandbox-contract.ts";
export { type SnapshotCase, type SnapshotSubject, snapshotContract } from "./snapshot-contract.ts";
export { spendContract } from "./spend-contract.ts";
export { type StoreContractCase, type StoreSubject, storeContract } from "./store-contract.ts";
export { timeTravelContract } from "./time-travel-contract.ts";
