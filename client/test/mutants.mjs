// The tests are tested: each of the bugs in ../internal/checker/testdata/bugs/client-*.patch is put into a copy of the sources, and the
// random tests have to find it.
//
//   node test/mutants.mjs                     all of them; fails when one is not found
//   node test/mutants.mjs epoch-ignored …     these
//   node test/mutants.mjs --build dir         builds each into dir/client-<name>.mjs, for the checker: LIVE_CLIENT=… node agent.mjs

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const client = fileURLToPath(new URL("..", import.meta.url)), bugs = join(client, "../internal/checker/testdata/bugs");
const args = process.argv.slice(2);
const into = args[0] === "--build" ? resolve(args.splice(0, 2)[1] ?? "mutants") : undefined;
const all = readdirSync(bugs).filter(f => /^client-.*\.patch$/.test(f)).map(f => f.slice(7, -6));
const names = args.length ? args : all;

/** The random tests, the quickest to find most of it first. */
const tests = ["schedules", "contract", "windows", "window"];
const env = { ...process.env, SCHEDULES: "1000", SEEDS: "60" };

/** A copy of the client with the bug in it, or as it is. */
function copy(name) {
  const root = mkdtempSync(join(tmpdir(), "live-mutant-"));
  for (const part of ["src", "test"]) cpSync(join(client, part), join(root, "client", part), { recursive: true });
  if (name) {
    const { status, stderr } = spawnSync("git", ["apply", "--whitespace=nowarn", join(bugs, `client-${name}.patch`)], { cwd: root, encoding: "utf8" });
    if (status) throw new Error(`client-${name}.patch does not apply to src/ any more:\n${stderr}`);
  }
  return root;
}

const bundle = (entry, outfile) => build({ entryPoints: [entry], outfile, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "error" });

/** The first of the tests that fails. */
async function found(root) {
  for (const t of tests) {
    const file = join(root, `${t}.test.mjs`);
    await bundle(join(root, `client/test/${t}.test.ts`), file);
    if (spawnSync(process.execPath, ["--test", file], { env, timeout: 300_000, stdio: "ignore" }).status !== 0) return t;
  }
  return undefined;
}

let failed = false;
if (into) mkdirSync(into, { recursive: true });
for (const name of into ? names : [undefined, ...names]) {
  const root = copy(name);
  try {
    if (into) {
      await bundle(join(root, "client/src/index.ts"), join(into, `client-${name}.mjs`));
      continue;
    }
    const begin = Date.now(), by = await found(root), seconds = ((Date.now() - begin) / 1000).toFixed(1);
    const what = name ? readFileSync(join(bugs, `client-${name}.patch`), "utf8").split("\n")[0] : "As it is: nothing is wrong.";
    const right = name ? by : !by;
    console.log(`${right ? "ok    " : "NOT OK"}  ${(name ?? "-").padEnd(18)} ${(by ? "found by " + by : "not found").padEnd(20)} ${seconds.padStart(6)} s  ${what}`);
    failed ||= !right;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
if (failed) process.exit(1);
