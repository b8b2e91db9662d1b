// A list of 10,000 rows of which 1,000 change a second: the page stays responsive, is told no more often than it is painted, and misses nothing.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Window } from "../lib/busy.mjs";
import { launch } from "../lib/chromium.mjs";
import { Server, build } from "../lib/server.mjs";
import { Trace } from "../lib/trace.mjs";

const rows = 10_000, rate = 1000, seconds = 3;

let browser, app, server;
before(async () => {
  app = await build("browser/busy");
  server = await Server.start(app, { name: "", flags: ["-rows", rows] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.kill();
  await app?.clean();
});

/** Milliseconds of a task after which a page feels stuck. */
const long = 50;

const cases = [
  ["in order, by a window, over a WebSocket", { transport: "websocket", list: { order: "-at", limit: 2 * rows } }],
  ["in order, over an event stream", { transport: "sse", list: { order: "at" } }],
  ["without an order, over long polls", { transport: "longpoll", list: {} }],
];

describe("10,000 rows and 1,000 changes a second", () => {
  for (const [name, options] of cases) test(name, async (t) => {
    const window = await Window.open(browser, server.url, options);
    try {
      await window.reads("#shown", `${rows} rows`);
      // What the client does to the page comes again; what the machine does now and then, as to collect garbage, does not.
      const longest = [];
      do longest.push(await round(window, t)); while (longest.at(-1) >= long && longest.length < 5);
      assert.ok(longest.at(-1) < long, `tasks took ${longest} ms of the processor`);

      await window.reads("#shown", `${rows} rows`);
      const [shown, held] = await window.rows();
      const sorted = (all) => (options.list.order ? all : [...all].sort());
      assert.deepEqual(sorted(shown), sorted(held));
    } finally {
      await window.close();
    }
  });
});

/**
 * Some seconds of changes. Returns how long the longest task of the page took, by the processor: the browser's own word for a long task is by the
 * clock, which runs on while the machine does something else.
 */
async function round(window, t) {
  await window.count();
  const trace = await Trace.start(browser);
  let counts, tasks;
  try {
    const { ok } = await fetch(`${server.url}/change?rate=${rate}&seconds=${seconds}`, { method: "POST" });
    assert.ok(ok);
    counts = await window.hears(rate * seconds);
  } finally {
    tasks = await trace.stop();
  }

  const { heard, told, frames, pauses, long: seen } = counts;
  const longest = Math.max(...tasks), all = tasks.reduce((sum, ms) => sum + ms, 0);
  t.diagnostic(`${tasks.length} tasks took ${Math.round(all)} ms of the processor, one ${longest.toFixed(1)} ms; told ${told} times in ${frames} frames; long by the clock: ${seen.join(", ") || "none"}`);
  assert.ok(tasks.length > told, "the browser did not record its tasks");
  assert.equal(heard, rate * seconds);
  // The first news are told at once, and what is told with the last frame may be counted before the frame is.
  assert.ok(told <= frames + pauses + 2, `told ${told} times in ${frames} frames with ${pauses} pauses`);
  assert.ok(told > seconds, `told only ${told} times`);
  return longest;
}
