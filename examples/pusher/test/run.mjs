// Builds the example once and runs the tests against it, two files at a time: node test/run.mjs [test/api.test.mjs …]

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "../../browser/lib/server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const files = process.argv.slice(2);
if (!files.length) files.push(...(await readdir(here)).filter((name) => name.endsWith(".test.mjs")).sort().map((name) => here + name));

const app = await build("pusher");
try {
  const env = { ...process.env, LIVE_TEST_PUSHER: JSON.stringify({ binary: app.binary, directory: app.directory }) };
  const tests = spawn(process.execPath, ["--test", "--test-concurrency=2", ...files], { stdio: "inherit", env });
  process.exitCode = await new Promise((done) => tests.on("exit", (code) => done(code ?? 1)));
} finally {
  await app.clean();
}
