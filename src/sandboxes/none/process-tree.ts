import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { systemErrorCode } from "../../lib/errors.ts";

/**
 * Kills a process group and, on Linux, whatever else carries `mark` in its environment: daemons that left the group with
 * `setsid` inherit the environment. A process that also cleared its environment is not found; without a sandbox
 * there is nothing to hold it by.
 */
export async function killTree(group: number, mark: string): Promise<void> {
  killGroup(group);
  // A process can fork between being seen and being killed, so look again until nothing is found.
  for (let pass = 0; pass < 50; pass++) {
    const pids = await markedProcesses(mark);
    if (pids.length === 0) return;
    for (const pid of pids) signal(pid);
    await sleep(5);
  }
}

function killGroup(group: number): void {
  signal(-group);
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // ESRCH: gone already. EPERM: macOS says so for a group of zombies.
    const code = systemErrorCode(error);
    if (code !== "ESRCH" && code !== "EPERM") throw error;
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
