import { chmod, lstat, mkdir, opendir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemErrorCode } from "../../lib/errors.ts";
import { newId, sha256 } from "../../lib/ids.ts";

const ETC: Readonly<Record<string, string>> = {
  passwd:
    "root:x:0:0:root:/root:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/workspace:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
  group: "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
  hosts: "127.0.0.1 localhost sandbox\n::1 localhost\n",
  hostname: "sandbox\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "resolv.conf": "",
  // Places for what is taken from the host.
  "ld.so.cache": "",
  "alternatives/.keep": "",
  "ssl/certs/.keep": "",
};

/** A directory with the few files of /etc that programs expect and nothing of the host's. Made once. */
export async function syntheticEtc(directory: string): Promise<string> {
  const place = join(directory, `etc-${sha256(JSON.stringify(ETC), 12)}`);
  const unfinished = join(directory, newId("etc"));
  if (await isThere(place)) return place;
  for (const [name, content] of Object.entries(ETC)) {
    await mkdir(dirname(join(unfinished, name)), { recursive: true });
    await writeFile(join(unfinished, name), content);
  }
  await chmodAll(unfinished);
  await rename(unfinished, place).catch(async (error: unknown) => {
    // Another runtime was faster.
    await rm(unfinished, { recursive: true, force: true });
    if (systemErrorCode(error) !== "ENOTEMPTY" && systemErrorCode(error) !== "EEXIST") throw error;
  });
  return place;
}

/** Readable for the session's user, whatever our own mask is. */
async function chmodAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for await (const entry of await opendir(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await chmodAll(path);
    else await chmod(path, 0o644);
  }
}

export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
