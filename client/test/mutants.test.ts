// That the bugs can still be put in; that they are found is for npm run mutants, which takes minutes.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

test("each bug of the checker's can be put into the sources as they are", () => {
  const into = mkdtempSync(join(tmpdir(), "live-mutants-"));
  try {
    const { status, stderr } = spawnSync(process.execPath, ["test/mutants.mjs", "--build", into], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.ok(readdirSync(into).length >= 10);
  } finally {
    rmSync(into, { recursive: true });
  }
});
