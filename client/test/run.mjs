// Bundles test/*.test.ts into .test/ and runs them. Arguments go to node --test.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const tests = readdirSync(`${root}/test`).filter(f => f.endsWith(".test.ts")).sort();
rmSync(`${root}/.test`, { recursive: true, force: true });
await build({
  entryPoints: tests.map(f => `${root}/test/${f}`),
  outdir: `${root}/.test`,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  external: ["../dist/*"],
});
const files = tests.map(f => `.test/${f.replace(/\.ts$/, ".mjs")}`);
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...process.argv.slice(2), ...files], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
