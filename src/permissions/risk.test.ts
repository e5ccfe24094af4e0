import { describe, expect, test } from "vitest";
import type { PolicyCall } from "./policy.ts";
import { riskFromAnnotations, riskOf } from "./risk.ts";

function short(call: Partial<PolicyCall> & { readonly name: string }): string {
  const { reversibility, reach } = riskOf({ input: {}, effect: "once", ...call });
  return `${reversibility} ${reach}`;
}

test.each<readonly [string, Partial<PolicyCall> & { readonly name: string }, string]>([
  ["read", { name: "read", input: { path: "a" }, effect: "readonly" }, "none workspace"],
  ["list", { name: "list", effect: "readonly" }, "none workspace"],
  ["glob", { name: "glob", effect: "readonly" }, "none workspace"],
  ["grep", { name: "grep", effect: "readonly" }, "none workspace"],
  ["find_tools", { name: "find_tools", effect: "readonly" }, "none workspace"],
  ["write inside", { name: "write", input: { path: "a" } }, "undoable workspace"],
  ["edit inside", { name: "edit", input: { path: "/workspace/a" } }, "undoable workspace"],
  ["write outside", { name: "write", input: { path: "/etc/a" } }, "hard outside"],
  ["write above", { name: "write", input: { path: "a/../../b" } }, "hard outside"],
  ["write to /tmp", { name: "write", input: { path: "/tmp/a" } }, "undoable session"],
  ["write into .git", { name: "write", input: { path: ".git/config" } }, "hard workspace"],
  ["write nowhere", { name: "write", input: {} }, "hard outside"],
  ["a tool that only reads", { name: "x", effect: "readonly" }, "none outside"],
  ["a tool nobody knows", { name: "x" }, "hard outside"],
  ["one that can be repeated", { name: "x", effect: "idempotent" }, "hard outside"],
  [
    "one that declares",
    { name: "x", risk: { reversibility: "undoable", reach: "session" } },
    "undoable session",
  ],
])("%s", (_name, call, expected) => {
  expect(short(call)).toBe(expected);
});

describe("shell", () => {
  test.each(
    Object.entries({
      "none workspace": [
        "ls",
        "cat a | head",
        "git status",
        "git log -p",
        "git diff",
        "git show HEAD",
        "git branch -a",
        "git remote -v",
        "git config --get user.name",
        "grep -r a .",
        "find . -name a",
        "sort a",
        "sed -n 1p a",
        "awk '{print}' a",
        "date",
        "npm ls",
        "node --version",
        "tar tf a.tar",
        "unzip -l a.zip",
        "dd if=a",
        "uniq a",
        "xxd a",
        "pip list",
        "command -v x",
        "echo a 2>/dev/null",
        "cargo tree",
        "yq .a x.yml",
        "file a",
        "sleep 1",
        "cd a",
        "",
      ],
      "undoable workspace": [
        "mkdir a",
        "touch a",
        "cp a b",
        "mv a b",
        "ln -s a b",
        "echo a > b",
        "echo a >> b",
        "ls | tee a",
        "sed -i s/a/b/ x",
        "sort a -o b",
        "sort -o b a",
        "uniq a b",
        "chmod +x a",
        "rmdir a",
        "gzip a",
        "split a",
        "tree -o a",
        "ls &> a",
        "ls >| a",
      ],
      "hard workspace": [
        "rm a",
        "rm -f a",
        "unlink a",
        "truncate -s 0 a",
        "git reset --hard",
        "git checkout -- a",
        "git restore a",
        "git add a",
        "git commit -m x",
        "git merge x",
        "git rebase main",
        "git stash drop",
        "git branch -D x",
        "tar xf a.tar",
        "unzip a.zip",
        "patch -p1",
        "echo a > .git/config",
        "cp a .git/hooks/b",
        "find . -fprint a",
      ],
      "irreversible workspace": [
        "rm -r a",
        "rm -rf a",
        "rm -fr a",
        "rm --recursive a",
        "shred a",
        "git clean -fdx",
        "find a -delete",
        "dd if=a of=b",
      ],
      "undoable session": ["touch /tmp/a", "echo a > /tmp/b"],
      "hard session": [
        "npm test",
        "make",
        "python x.py",
        "./build.sh",
        "unknown",
        "$x",
        "eval $x",
        "kill 1",
        "chown a b",
        "sudo ls",
        "git frobnicate",
        "node x.js",
      ],
      "hard outside": [
        "git push",
        "git push origin main",
        "git pull",
        "git clone x",
        "git fetch",
        "curl https://a",
        "curl -d a=b https://a",
        "curl -X POST https://a",
        "curl -F a=@b https://a",
        "curl -T a https://a",
        "curl --data-binary @a https://a",
        "curl -XPUT https://a",
        "wget https://a",
        "wget --post-data=a https://a",
        "ssh host ls",
        "scp a host:b",
        "rsync a host:b",
        "npm install",
        "npm ci",
        "pip install a",
        "apt-get install a",
        "npx a",
        "docker push a",
        "docker run a",
        "psql -c 'select 1'",
        "kubectl get pods",
        "aws s3 ls",
        "gh pr create",
        "ping a",
        "nc a 1",
        "echo a > /etc/b",
        "echo a > ../b",
        "touch ~/a",
        "cp a /usr/b",
        "touch $x",
        "terraform plan",
        "rm /etc/a",
        "ansible-playbook x",
      ],
      "irreversible outside": [
        "git push --force",
        "git push -f origin main",
        "git push origin +main",
        "git push origin :main",
        "git push --delete origin x",
        "git push --force-with-lease",
        "npm publish",
        "yarn publish",
        "cargo publish",
        "twine upload dist/*",
        "gem push a.gem",
        "poetry publish",
        "curl -X DELETE https://a",
        "curl --request DELETE https://a",
        "psql -c 'DROP TABLE a'",
        "psql -c 'DELETE FROM a'",
        "psql -c 'delete from a;'",
        "psql -c 'TRUNCATE a'",
        "mysql -e 'update a set b=1'",
        "redis-cli FLUSHALL",
        "terraform apply",
        "terraform destroy -auto-approve",
        "kubectl delete pod a",
        "helm uninstall a",
        "aws s3 rm s3://a",
        "aws ec2 terminate-instances",
        "gcloud compute instances delete a",
        "gh pr merge 1",
        "gh repo delete a",
        "mail -s a b@c",
        "sendmail a",
        "mkfs.ext4 /dev/sda",
        "rm -rf /",
        "rm -rf ~",
        "rm -rf ../x",
        "dd if=a of=/dev/sda",
        "docker system prune",
        "dropdb a",
        "find / -delete",
        "shred /dev/sda",
      ],
    }).flatMap(([risk, lines]) => lines.map((line) => [line, risk] as const)),
  )("%s: %s", (command, expected) => {
    expect(short({ name: "shell", input: { command } })).toBe(expected);
  });

  test.each([
    ["ls; rm -r a", "irreversible workspace"],
    ["git push && rm a", "hard outside"],
    ["rm -r a; curl https://a", "irreversible outside"],
    ["ls $(git push -f)", "irreversible outside"],
    ["find . -exec rm -r {} +", "irreversible outside"],
    ["timeout 5 rm -r a", "irreversible workspace"],
    ["bash -c 'npm publish'", "irreversible outside"],
  ])("a line is as bad as the worst of it: %s is %s", (command, expected) => {
    expect(short({ name: "shell", input: { command } })).toBe(expected);
  });

  test("the reason names the part", () => {
    const { why } = riskOf({ name: "shell", input: { command: "ls; rm -r a; touch b" }, effect: "once" });
    expect(why).toEqual(["rm -r deletes directories"]);
  });
});

test.each([
  [{}, "irreversible outside"],
  [{ readOnlyHint: true }, "none outside"],
  [{ readOnlyHint: true, openWorldHint: false }, "none session"],
  [{ readOnlyHint: true, destructiveHint: true }, "none outside"],
  [{ destructiveHint: true, openWorldHint: false }, "irreversible session"],
  [{ destructiveHint: false }, "hard outside"],
  [{ destructiveHint: false, idempotentHint: true }, "hard outside"],
  [{ destructiveHint: false, idempotentHint: true, openWorldHint: false }, "undoable session"],
  [{ destructiveHint: false, openWorldHint: false }, "hard session"],
])("annotations %j: %s", (annotations, expected) => {
  const { reversibility, reach } = riskFromAnnotations(annotations);
  expect(`${reversibility} ${reach}`).toBe(expected);
});

test.each([
  "tar -tf host:file",
  "tar tf host:file",
  "tar -tfhost:file",
  "tar --list --file=user@host:a/file",
  'tar -tf "a$X"',
])("%s may reach another machine", (command) => {
  expect(riskOf({ name: "shell", input: { command }, effect: "once" })).toMatchObject({
    reversibility: "hard",
    reach: "outside",
  });
});

test("a colon behind a slash is part of a name for tar", () => {
  const input = { command: "tar -tf ./a:b.tar" };
  expect(riskOf({ name: "shell", input, effect: "once" }).reversibility).toBe("none");
});
