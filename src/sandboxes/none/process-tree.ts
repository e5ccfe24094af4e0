import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { systemErrorCode } from "../../lib/errors.ts";

/**
 * Kills process groups and, on Linux, whatever else carries `mark` in its environment: daemons that left their group with
 * `setsid` inherit the environment. A process that also cleared its environment is not found; without a sandbox
 * there is nothing to hold it by.
 */
export async function killTree(groups: readonly number[], mark: string): Promise<void> {
  for (const group of groups) send("SIGKILL", -group);
  // A process can fork between being seen and being killed, so look again until nothing is found.
  for (let pass = 0; pass < 50; pass++) {
    const pids = await markedProcesses(mark);
    if (pids.length === 0) return;
    for (const pid of pids) send("SIGKILL", pid);
    await sleep(5);
  }
}

/** Whether nothing of a process group is left; its number may then be given to another one. */
export function isEmptyGroup(group: number): boolean {
  return !send(0, -group);
}

/** Whether there was anybody to send it to. */
function send(signal: "SIGKILL" | 0, pid: number): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    // ESRCH: gone already. EPERM: macOS says so for a group of zombies.
    const code = systemErrorCode(error);
    if (code === "ESRCH" || code === "EPERM") return false;
    throw error;
  }
}

async function markedProcesses(mark: string): Promise<readonly number[]> {
  if (process.platform !== "linux") return [];
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 1 && pid !== process.pid);
  const marked = await Promise.all(pids.map((pid) => carries(pid, mark)));
  return pids.filter((_pid, i) => marked[i]);
}

async function carries(pid: number, mark: string): Promise<boolean> {
  try {
    // A zombie's environment is empty, so one that nobody has collected yet does not count.
    return (await readFile(`/proc/${pid}/environ`)).includes(mark);
  } catch {
    // Gone meanwhile, or another user's.
    return false;
  }
}
