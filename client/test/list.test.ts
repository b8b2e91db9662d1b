// The rows of a list, and the messages of a channel: what is told, when, and for how long.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../src/client.ts";
import type { ListFeed } from "../src/list.ts";
import { keyOf } from "../src/rows.ts";
import { Session } from "../src/session.ts";
import type { Change } from "../src/types.ts";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { scene, type Todo } from "./todos.ts";

test("rows are frozen, and keep their identity until they change", async () => {
  const { s, list, shown } = await scene();
  const [rows, one, two] = [list.rows, list.rows[0]!, list.rows[1]!];
  assert.ok(Object.isFrozen(rows) && Object.isFrozen(one));
  assert.equal(keyOf(one), "1");
  assert.equal(list.key(two), "2");
  await s.say({ type: "cursor", cursor: "e.11" });
  assert.equal(list.rows, rows);
  assert.equal(shown.length, 0, "nothing changed, nobody is told");
  await s.change("e.12", "update", "1", 2, { title: "A" });
  assert.notEqual(list.rows, rows);
  assert.notEqual(list.rows[0], one);
  assert.equal(list.rows[1], two);
  assert.deepEqual(shown, ["A b"]);
});

test("a subscriber hears at once what is known, and no more after it left", async () => {
  const { s, list } = await scene();
  const heard: [number, string][] = [];
  const off = list.subscribe((rows, { state }) => heard.push([rows.length, state]));
  assert.deepEqual(heard, [[2, "live"]]);
  off();
  off();
  await s.change("e.12", "delete", "1", 2);
  assert.equal(heard.length, 1);
});

test("an empty list is told when it is known to be empty", async () => {
  const s = new Script();
  const heard: [number, string][] = [];
  s.live.list("todos").subscribe((rows, { state }) => heard.push([rows.length, state]));
  await s.hello();
  await s.snapshot("e.1");
  assert.deepEqual(heard, [[0, "loading"], [0, "live"]]);
});

test("the same spec is one subscription; it ends with the last listener and resumes with the next", async () => {
  const s = new Script();
  const a = s.live.list("todos", { where: { b: 1, a: { in: [2, 1] } }, order: "n" });
  const b = s.live.list("todos", { where: { a: { in: [2, 1] }, b: 1 }, order: "n" });
  const c = s.live.list("todos", { where: { a: { in: [1, 2] }, b: 1 }, order: "n" });
  assert.equal(a, b);
  assert.notEqual(a, c);
  const offs = [a.subscribe(() => {}), b.on("change", () => {})];
  await s.hello();
  assert.equal(s.sent.filter(m => m.type === "subscribe").length, 1);
  await s.snapshot("e.5", ["1", 1, { title: "x" }]);
  offs[0]!();
  await s.clock.advance(1000);
  assert.equal(s.sent.filter(m => m.type === "unsubscribe").length, 0);
  offs[1]!();
  await s.clock.advance(100);
  // Somebody comes back within the grace: nothing is said.
  const off = a.subscribe(() => {});
  await s.clock.advance(1000);
  assert.equal(s.sent.length, 1);
  off();
  await s.clock.advance(1000);
  assert.equal(s.last("unsubscribe").id, 1);
  // And later: the rows are still there, and the subscription goes on from its cursor under a new id.
  let rows: readonly unknown[] = [];
  a.subscribe(r => (rows = r))();
  assert.equal(rows.length, 1);
  await settle(2);
  assert.deepEqual([s.last("subscribe").id, s.last("subscribe").cursor], [2, "e.5"]);
  // Much later nothing is kept.
  await s.clock.advance(120_000);
  assert.deepEqual(a.rows, []);
  assert.equal(a.status.state, "loading");
  assert.notEqual(s.live.list("todos", { where: { b: 1, a: { in: [2, 1] } }, order: "n" }), a);
});

test("answers to an earlier subscribing are not taken for the present one's", async () => {
  const s = new Script();
  const list = s.live.list("todos");
  const off = list.subscribe(() => {});
  await s.hello();
  const { id } = s.last("subscribe");
  off();
  await s.clock.advance(1000);
  list.subscribe(() => {});
  await settle(2);
  await s.say({ type: "snapshot", id, query: "old", cursor: "e.1", rows: [{ key: "1", fields: {} }] });
  assert.equal(list.rows.length, 0);
  await s.snapshot("e.2");
  assert.equal(list.status.state, "live");
});

test("a list stays ordered: an update of the field moves the row", async () => {
  const { s, shown } = await scene("-n");
  await s.change("e.11", "enter", "3", 1, { id: 3, title: "c", n: null });
  await s.change("e.12", "update", "1", 2, { n: 5 });
  await s.change("e.13", "update", "1", 3, { n: 2 });
  
  assert.deepEqual(shown, ["b a c", "a b c", "a b c"]);
});

test("a resync replaces the rows in one step", async () => {
  const { s, shown, list } = await scene();
  const seen: Change<Todo>[] = [];
  list.on("change", c => seen.push(c));
  await s.say({ type: "resync", id: 1, query: "q", cursor: "f.1", reason: "epoch", rows: [{ key: "9", version: 1, fields: { title: "z" } }] });
  assert.deepEqual(shown, ["z"]);
  assert.deepEqual(seen, [{ op: "resync", reason: "epoch", rows: list.rows, cursor: "f.1" }]);
  await s.change("e.99", "delete", "9", 2);
  assert.deepEqual(shown, ["z"], "a cursor of another epoch is not after ours");
});

test("a resync of the same epoch may lie before the cursor: what follows it is not old", async () => {
  const { s, shown, list } = await scene();
  await s.change("e.2100", "update", "1", 2, { title: "A" });
  await s.say({ type: "resync", id: 1, query: "q", cursor: "e.290", reason: "history", rows: [{ key: "9", version: 1, fields: { title: "z" } }] });
  await s.change("e.291", "update", "9", 2, { title: "y" });
  assert.deepEqual(shown, ["A b", "z", "y"]);
  await s.say({ type: "cursor", cursor: "e.292" });
  assert.equal((list as ListFeed<Todo>)._cursor, "e.292");
});

test("a handler that throws disturbs nobody", async t => {
  const { s, list, shown } = await scene();
  const report = t.mock.method(console, "error", () => {});
  list.subscribe(() => {
    throw new Error("mine");
  });
  list.on("change", () => {
    throw new Error("mine too");
  });
  const later: number[] = [];
  list.subscribe(rows => later.push(rows.length));
  await s.change("e.12", "delete", "1", 2);
  assert.deepEqual([shown, later], [["b"], [2, 1]]);
  assert.equal(report.mock.callCount(), 3);
});

test("ready waits for the first rows, and needs no subscriber", async () => {
  const s = new Script();
  const list = s.live.list("todos");
  const ready = outcome(list.ready);
  await s.hello();
  assert.equal(ready.is, "waits");
  await s.snapshot("e.1", ["1", 1, { title: "x" }]);
  assert.deepEqual(ready.is, [{ title: "x" }]);
  const secret = s.live.list("secret").ready;
  await settle(2);
  await s.say({ type: "error", id: 2, problem: { status: 403, code: "forbidden" } });
  await assert.rejects(secret, { code: "forbidden", status: 403 });
});

test("an end is heard once, however often it is called; what the server ended can be begun again", async () => {
  const { s, list } = await scene();
  const off = list.subscribe(() => {});
  off();
  off();
  await s.clock.advance(1000);
  assert.equal(s.sent.filter(m => m.type === "unsubscribe").length, 0, "the other listener is still there");
  const again = s.live.list("more");
  const states: string[] = [];
  const stop = again.subscribe((_, { state, error }) => states.push(state + (error ? " " + error.code : "")));
  await settle(2);
  await s.say({ type: "error", id: s.last("subscribe").id, problem: { status: 403, code: "forbidden" } });
  stop();
  await s.clock.advance(1000);
  again.subscribe((_, { state }) => states.push(state));
  await settle(2);
  await s.snapshot("e.20");
  assert.deepEqual(states, ["loading", "closed forbidden", "loading", "live"]);
  assert.equal(s.sent.filter(m => m.type === "unsubscribe").length, 0);
});

test("a subscription that fails by the server's fault is asked for again", async () => {
  const { s, list } = await scene();
  await s.say({ type: "closed", id: 1, problem: { status: 503, code: "unavailable" } });
  assert.deepEqual([list.status.state, list.status.error?.code, list.rows.length], ["live", "unavailable", 2]);
  list.subscribe(() => {});
  await s.clock.advance(1000);
  assert.equal(s.last("subscribe").cursor, "e.10");
  await s.say({ type: "error", id: s.last("subscribe").id, problem: { status: 400, code: "malformed_cursor" } });
  assert.equal(s.last("subscribe").cursor, undefined);
  await s.snapshot("e.20");
  assert.deepEqual([list.status.state, list.status.error, list.rows.length], ["live", undefined, 0]);
});

test("what is said to a subscription that ended is not taken by its successor", async () => {
  const { s, list } = await scene();
  const feed = list as ListFeed<Todo>;
  const session = new Session(s.live as Client, {} as never);
  session._add(feed);
  session._receive({ type: "resumed", id: feed._id, query: "z", cursor: "e.10" });
  feed._id = 77;
  session._receive({ type: "change", query: "z", cursor: "e.11", changes: [{ op: "delete", key: "1", version: 2 }] });
  session._receive({ type: "cursor", cursor: "e.12" });
  assert.deepEqual([list.rows.length, feed._cursor], [2, "e.10"]);
});

test("a resync may name the query anew: what comes by the old name is not for the list", async () => {
  const { s, list } = await scene();
  await s.say({ type: "resync", id: 1, query: "q.1", cursor: "f.1", reason: "epoch", rows: [] });
  await s.say({ type: "change", query: "q", cursor: "f.2", changes: [{ op: "create", key: "7", version: 1, fields: { title: "old name" } }] });
  await s.say({ type: "change", query: "q.1", cursor: "f.3", changes: [{ op: "create", key: "8", version: 1, fields: { title: "new name" } }] });
  assert.deepEqual(list.rows.map(row => row.title), ["new name"]);
});

test("channels: each message once, in order; a resync is told", async () => {
  const s = new Script();
  const ch = s.live.channel<number>("chat:7");
  const heard: unknown[] = [];
  const off = ch.on(m => heard.push(m));
  ch.onResync(reason => heard.push(reason));
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "c", cursor: "e.1" });
  assert.equal(ch.status.state, "live");
  await s.say({ type: "message", query: "c", cursor: "e.2", messages: [1, 2] }, { type: "message", query: "c", cursor: "e.2", messages: [1, 2] });
  await s.say({ type: "resync", id: 1, query: "c", cursor: "e.9", reason: "overflow" }, { type: "message", query: "c", cursor: "e.8", messages: [8] });
  await s.say({ type: "message", query: "c", cursor: "e.a", messages: [10] });
  off();
  await s.say({ type: "message", query: "c", cursor: "e.b", messages: [11] });
  assert.deepEqual(heard, [1, 2, "overflow", 10]);
  const published = outcome(ch.publish(3));
  await settle(2);
  await s.say({ type: "result", id: s.last("publish").id });
  assert.equal(published.is, undefined);
});

test("a channel that is listened to anew starts anew", async () => {
  const s = new Script();
  const off = s.live.channel("x").on(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "c", cursor: "e.1" });
  off();
  await s.clock.advance(1000);
  s.live.channel("x").on(() => {});
  await settle(2);
  assert.deepEqual(s.last("subscribe"), { type: "subscribe", id: 2, channel: "x" });
});
