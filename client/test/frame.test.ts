// News are told once a frame, however often they come.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { environment } from "../src/env.ts";
import type { List } from "../src/types.ts";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";

type Todo = { id: number; n: number; title?: string };

/** A list of three rows on a page that is painted when the test says so; and what its listener was told, and when it was told nothing for a frame. */
async function scene(): Promise<{ s: Script; list: List<Todo>; told: string[] }> {
  const s = new Script();
  s.clock.frames = [];
  const list = s.live.list<Todo>("todos", { order: "n" });
  const told: string[] = [];
  list.subscribe(rows => told.push(rows.map(r => r.n + (list.pending(r) ? "?" : "")).join(" ")));
  await s.hello();
  await s.snapshot("e.100", ["1", 1, { id: 1, n: 10 }], ["2", 1, { id: 2, n: 20 }], ["3", 1, { id: 3, n: 30 }]);
  assert.deepEqual(told, ["", "10 20 30"]);
  await s.clock.paint();
  assert.deepEqual(s.clock.frames, [], "nobody waits for a frame when there is no news");
  told.length = 0;
  return { s, list, told };
}

test("the first news are told at once, and those that follow with the next frame, together", async () => {
  const { s, list, told } = await scene();
  await s.change("e.101", "update", "1", 2, { n: 11 });
  assert.deepEqual(told, ["11 20 30"]);
  for (let i = 2; i < 500; i++) await s.say({ type: "change", query: "q", cursor: `e.${100 + i}`, changes: [{ op: "update", key: "1", version: i + 1, fields: { n: 10 + i } }] });
  assert.equal(told.length, 1);
  assert.equal(list.rows[2]!.n, 509, "who asks is told how it is");
  assert.equal(s.clock.frames!.length, 1);
  await s.clock.paint();
  assert.deepEqual(told, ["11 20 30", "20 30 509"]);
  await s.change("e.700", "update", "1", 600, { n: 1 });
  assert.equal(told.length, 2, "one frame, one time");
  await s.clock.paint();
  assert.equal(told[2], "1 20 30");
  await s.clock.paint();
  await s.change("e.701", "update", "1", 601, { n: 2 });
  assert.equal(told[3], "2 20 30", "after a frame without news they are told at once again");
});

test("each change is told, in order, however many frames they share", async () => {
  const { s, list, told } = await scene();
  const heard: string[] = [];
  list.on("change", c => heard.push(`${c.op} ${"key" in c && c.key} ${c.cursor}`));
  await s.change("e.101", "update", "1", 2, { n: 11 });
  await s.change("e.102", "delete", "2", 2);
  await s.change("e.103", "enter", "4", 1, { id: 4, n: 40 });
  assert.deepEqual(heard, ["update 1 e.101"]);
  await s.clock.paint();
  assert.deepEqual(heard, ["update 1 e.101", "delete 2 e.102", "enter 4 e.103"]);
  assert.deepEqual(told, ["11 20 30", "11 30 40"]);
});

test("all that a page listens to is told in the same frame", async () => {
  const { s, told } = await scene();
  const heard: unknown[] = [];
  s.live.channel("chat").on(m => heard.push(m));
  s.live.count("todos").subscribe(n => heard.push(n));
  await settle(2);
  const [chat, count] = s.sent.slice(-2).map(m => m.id) as [number, number];
  await s.say({ type: "snapshot", id: chat, query: "c", cursor: "e.100" }, { type: "snapshot", id: count, query: "n", cursor: "e.100", count: 3 });
  await s.clock.paint();
  await s.clock.paint();
  heard.length = 0;
  const say = (n: number) => s.say({ type: "message", query: "c", cursor: `e.${n}`, messages: [`m${n}`, "and"] }, { type: "count", query: "n", cursor: `e.${n}`, count: n },
    { type: "change", query: "q", cursor: `e.${n}`, changes: [{ op: "update", key: "1", version: n, fields: { n } }] });
  for (const n of [101, 102, 103]) await say(n);
  assert.deepEqual([heard, told], [["m101", "and", 101], ["20 30 101"]]);
  await s.clock.paint();
  assert.deepEqual([heard.slice(3), told.slice(1)], [["m102", "and", "m103", "and", 103], ["20 30 103"]]);
});

test("what a listener does is told with the next frame; promises wait for none", async () => {
  const { s, list, told } = await scene();
  let once = true;
  let done = outcome(Promise.resolve());
  list.subscribe(() => {
    if (!once || !told.length) return;
    once = false;
    done = outcome(list.update(2, { n: 21 }));
  });
  await s.change("e.101", "update", "1", 2, { n: 11 });
  assert.deepEqual(told, ["11 20 30"]);
  const { id, mutation } = s.last("call");
  await s.say({ type: "change", query: "q", cursor: "e.102", changes: [{ op: "update", key: "2", version: 2, fields: { n: 21 }, mutation: mutation! }] },
    { type: "result", id, cursor: "e.102", row: { key: "2", version: 2, fields: { id: 2, n: 21 } } });
  assert.deepEqual(done.is, { id: 2, n: 21 });
  assert.equal(told.length, 1);
  await s.clock.paint();
  assert.deepEqual(told, ["11 20 30", "11 21 30"]);
});

test("who left before the frame is not told in it", async () => {
  const { s, list, told } = await scene();
  const other: number[] = [];
  const off = list.subscribe(rows => other.push(rows.length));
  const both = list.subscribe(() => told.at(-1) === "13 20 30" && last());
  const heard: number[] = [];
  const last = list.subscribe(rows => heard.push(rows[0]!.n));
  await s.change("e.101", "update", "1", 2, { n: 11 });
  await s.change("e.102", "update", "1", 3, { n: 12 });
  off();
  await s.clock.paint();
  assert.deepEqual([other, heard], [[3, 3], [10, 11, 12]]);
  await s.change("e.103", "update", "1", 4, { n: 13 });
  await s.clock.paint();
  assert.deepEqual([told.at(-1), heard], ["13 20 30", [10, 11, 12]], "nor who was sent away by one that was told before");
  both();
});

test("a client that is closed says so", async () => {
  const { s, list } = await scene();
  const states: string[] = [];
  list.subscribe((_, { state }) => states.push(state));
  await s.change("e.101", "update", "1", 2, { n: 11 });
  s.live.close();
  await s.clock.paint();
  assert.deepEqual([states.at(-1), list.rows[0]!.n], ["closed", 11]);
});

/** A browser's frames and timers, as far as the client knows them. */
function browser(t: TestContext) {
  const frames = new Map<number, () => void>(), timers = new Map<number, [() => void, number]>();
  let last = 0;
  const define = (name: string, value: unknown) => {
    const was = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (was ? Object.defineProperty(globalThis, name, was) : delete (globalThis as never)[name]));
  };
  define("requestAnimationFrame", (f: () => void) => (frames.set(++last, f), last));
  define("cancelAnimationFrame", (id: number) => frames.delete(id));
  define("setTimeout", (f: () => void, ms: number) => (timers.set(++last, [f, ms]), last));
  define("clearTimeout", (id: number) => timers.delete(id));
  return { frames, timers };
}

test("a frame is that of the browser, and leaves no timer behind", t => {
  const { frames, timers } = browser(t);
  let times = 0;
  environment().frame(() => times++);
  assert.deepEqual([times, frames.size, timers.size], [0, 1, 1]);
  for (const f of [...frames.values()]) f();
  assert.deepEqual([times, timers.size], [1, 0]);
});

test("where no frame comes, a quarter of a second is one, and leaves no frame behind", t => {
  const { frames, timers } = browser(t);
  let times = 0;
  environment().frame(() => times++);
  const [[f, ms]] = [...timers.values()] as [[() => void, number]];
  assert.equal(ms, 250);
  f();
  assert.deepEqual([times, frames.size], [1, 0]);
});

test("outside of browsers it is the end of the turn", async () => {
  let times = 0;
  environment().frame(() => times++);
  assert.equal(times, 0);
  await Promise.resolve();
  assert.equal(times, 1);
});
