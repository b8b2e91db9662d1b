// Builds dist/: live.mjs (ES module), live.js (classic script, global Live) and live.d.ts; and presence.mjs, presence.js (which adds to
// that global) and presence.d.ts, which are for whoever needs them.
//   node build.mjs           writes dist/
//   node build.mjs --check   fails when dist/ is not what the sources give
//   node build.mjs --size    fails when a built file is over its budget

import { readFile, writeFile, mkdir } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

/** Bytes of each built file after gzip -9. */
const BUDGET = { live: 11.625 * 1024, presence: 9 * 1024 };

const target = "es2021";
const here = path => new URL(path, import.meta.url);
const argument = process.argv[2];

async function bundle(entry, format) {
  const { outputFiles } = await build({
    entryPoints: [here(entry).pathname],
    absWorkingDir: here(".").pathname,
    bundle: true,
    minify: true,
    format: "esm",
    target,
    charset: "utf8",
    mangleProps: /^_/, // what begins with "_" is nobody's business outside
    legalComments: "none",
    write: false,
  });
  // What the modules are made of is joined once they are one text: a hundred bytes less.
  const { code } = await transform(outputFiles[0].text, { minify: true, format, target, charset: "utf8", legalComments: "none" });
  return "/*! @swampline/live | MIT */\n" + (format === "iife" ? '"use strict";' : "") + code;
}

/** The typings are src/types.ts, which imports nothing, and what index.ts exports besides. */
async function typings() {
  const types = await readFile(here("src/types.ts"), "utf8");
  return types.replace(/^\/\/.*\n/, "// The types of @swampline/live. Built from src/types.ts by build.mjs: do not edit.\n") + `
export declare class LiveError extends Error implements LiveErrorLike {
  constructor(problem: Problem);
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: Record<string, string[]>;
  readonly current: Problem["current"];
  readonly changed: Problem["changed"];
  readonly conflicts: Problem["conflicts"];
}

/** The key of a row that a list showed or a call returned. */
export declare function keyOf(row: object): string | undefined;

/** Connects to the hub at url. It keeps trying until close is called; what is asked of it meanwhile waits. */
export declare function connect<S = undefined>(url: string, options?: Options): Live<S>;

/** live.js, the classic script, defines a global Live with the same exports: Live.connect("/live/"). */
export as namespace Live;
`;
}

/** Those of presence.js are src/presence/types.ts, which imports only what is in live.d.ts. */
async function presenceTypings() {
  const types = await readFile(here("src/presence/types.ts"), "utf8");
  return types.replace(/^\/\/.*\n/, "// The types of @swampline/live/presence. Built from src/presence/types.ts by build.mjs: do not edit.\n").replace("../types.ts", "./live.js");
}

const files = {
  "live.mjs": await bundle("src/index.ts", "esm"),
  "live.js": await bundle("src/classic.ts", "iife"),
  "live.d.ts": await typings(),
  "presence.mjs": await bundle("src/presence/index.ts", "esm"),
  "presence.js": await bundle("src/presence/classic.ts", "iife"),
  "presence.d.ts": await presenceTypings(),
};
let failed = false;

for (const [name, text] of Object.entries(files)) {
  const path = here(`dist/${name}`);
  const size = gzipSync(text, { level: 9 }).length;
  if (argument === "--check") {
    const found = await readFile(path, "utf8").catch(() => "");
    if (found !== text) {
      console.error(`dist/${name} is not what src/ gives: run npm run build`);
      failed = true;
    }
  } else if (argument === "--size") {
    if (name.endsWith(".d.ts")) continue;
    const budget = BUDGET[name.split(".")[0]];
    console.log(`${name}: ${text.length} bytes, ${size} gzipped, budget ${budget}`);
    failed ||= size > budget;
  } else {
    await mkdir(here("dist/"), { recursive: true });
    await writeFile(path, text);
    console.log(`dist/${name}: ${text.length} bytes, ${size} gzipped`);
  }
}
if (failed) process.exit(1);
