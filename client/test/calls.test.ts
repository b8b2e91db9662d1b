// Counts, verbs of the application's own, several rows at once, and explanations.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { TransportName } from "../src/types.ts";
import { Clock, settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { Server } from "./server.ts";

type Todo = { id?: number; title: string; done?: boolean };

test("a count is what the server says last, and is taken again from its cursor", async () => {
  const s = new Script();
  const where = { done: false };
  const count = s.live.count("todos", { where });
  assert.equal(s.live.count("todos", { where: { done: false } }), count);
  assert.notEqual(s.live.count("todos"), count);
  const heard: unknown[] = [];
  const off = count.subscribe((value, { state }) => heard.push([value, state]));
  await s.hello();
  assert.deepEqual(s.sent, [{ type: "subscribe", id: 1, router: "todos", where, count: true }]);
  await s.say({ type: "snapshot", id: 1, query: "n", cursor: "e.10", count: 12 });
  await s.say({ type: "count", query: "n", cursor: "e.11", count: 13 }, { type: "count", query: "n", cursor: "e.11", count: 14 });
  await s.say({ type: "count", query: "n", cursor: "e.10", count: 15 }, { type: "count", query: "other", cursor: "e.12", count: 16 });
  assert.deepEqual(heard, [[undefined, "loading"], [12, "live"], [14, "live"]], "one of an equal cursor counts, an earlier one does not");
  s.socket.drop();
  await s.clock.advance(1000);
  await s.hello();
  assert.equal(s.last("subscribe").cursor, "e.11");
  await s.say({ type: "resumed", id: 1, query: "m", cursor: "e.11" }, { type: "cursor", cursor: "e.12" });
  assert.equal(count.value, 14);
  await s.say({ type: "closed", id: 1, problem: { status: 403, code: "forbidden" } });
  assert.deepEqual([heard.slice(3), count.status.error?.code], [[[undefined, "closed"]], "forbidden"]);
  off();
});

test("a count is kept for a minute, and then forgotten", async () => {
  const s = new Script();
  const count = s.live.count("todos");
  const off = count.subscribe(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "n", cursor: "e.1", count: 2 });
  off();
  await s.clock.advance(1000);
  assert.deepEqual([s.last("unsubscribe").id, count.value], [1, 2]);
  await s.clock.advance(100_000);
  assert.deepEqual([count.value, count.status.state], [undefined, "loading"]);
  count.subscribe(() => {});
  await s.again();
  assert.equal("cursor" in s.last("subscribe"), false);
});

test("a call resolves with the data, or else the row or the rows of its answer", async () => {
  const s = new Script();
  const all = [
    s.live.call("todos", "archive", { key: 42, version: 3, data: { why: "old" } }), s.live.call("todos", "sweep"), s.live.call("todos", "none"),
    s.live.call<Todo>("todos", "get", { key: "42" }), s.live.call("todos", "list"),
  ].map(outcome);
  await s.hello();
  const sent = s.sent.filter(m => m.type === "call");
  assert.deepEqual(sent[0], { type: "call", id: 1, router: "todos", verb: "archive", key: "42", version: 3, data: { why: "old" }, mutation: sent[0]!.mutation! });
  assert.deepEqual(sent.map(m => "mutation" in m), [true, true, true, false, false], "what only reads needs none");
  const milk = { key: "42", version: 3, fields: { id: 42, title: "milk" } };
  await s.say({ type: "result", id: 1, cursor: "e.1", data: { ok: true }, row: milk }, { type: "result", id: 2, data: null }, { type: "result", id: 3 });
  await s.say({ type: "result", id: 4, row: milk }, { type: "result", id: 5, rows: [milk] });
  assert.deepEqual(all.map(o => o.is), [{ ok: true }, null, undefined, milk.fields, [milk.fields]]);
  const refused = s.live.call("todos", "nonsense");
  await settle(2);
  await s.say({ type: "error", id: s.last("call").id, problem: { status: 405, code: "unknown_verb" } });
  await assert.rejects(refused, { code: "unknown_verb" });
});

test("a call whose answer was lost is sent again", async () => {
  const s = new Script();
  s.live.count("todos").subscribe(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "n", cursor: "e.1", count: 2 });
  const p = outcome(s.live.call("todos", "archive"));
  await settle(2);
  const first = s.last("call");
  s.socket.drop();
  await s.clock.advance(1000);
  await s.hello();
  assert.deepEqual(s.last("call"), { ...first, retry: "e.1" });
  await s.say({ type: "result", id: first.id, data: 7 });
  assert.equal(p.is, 7);
});

test("several rows at once: with the versions that are held, and shown when they come back", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  list.subscribe(() => {});
  await s.hello();
  await s.snapshot("e.10", ["1", 3, { id: 1, title: "a" }], ["2", 5, { id: 2, title: "b" }]);
  const created = outcome(list.create([{ title: "c" }, { title: "d" }]));
  const updated = outcome(list.update([{ key: 1, data: { done: true } }, { key: "2", data: { title: "B" }, version: 4 }, { key: 9, data: {} }]));
  const deleted = outcome(list.delete([1, 2]));
  const nothing = outcome(list.create([]));
  await settle(2);
  const calls = s.sent.filter(m => m.type === "call");
  assert.deepEqual(calls.map(({ verb, key, data }) => [verb, key, data]), [
    ["create", undefined, [{ title: "c" }, { title: "d" }]],
    ["update", undefined, [{ key: "1", version: 3, data: { done: true } }, { key: "2", version: 4, data: { title: "B" } }, { key: "9", data: {} }]],
    ["delete", undefined, [{ key: "1", version: 3 }, { key: "2", version: 5 }]],
    ["create", undefined, []],
  ]);
  assert.equal(new Set(calls.map(c => c.mutation)).size, 4);
  assert.deepEqual(list.rows.length, 2);
  const row = (id: number) => ({ key: String(id), version: 1, fields: { id, title: "x" } });
  await s.say({ type: "result", id: calls[0]!.id, cursor: "e.11", rows: [row(3), row(4)] }, { type: "result", id: calls[2]!.id, rows: [] }, { type: "result", id: calls[3]!.id, rows: [] });
  assert.deepEqual([created.is, deleted.is, nothing.is], [[row(3).fields, row(4).fields], undefined, []]);
  await s.say({ type: "error", id: calls[1]!.id, problem: { status: 422, code: "invalid", errors: { "1.title": ["too short"] } } });
  assert.equal(updated.is, "invalid");
  assert.equal(list.key((created.is as Todo[])[0]!), "3");
});

test("an explanation, from a server that gives one", async () => {
  const s = new Script();
  const p = outcome(s.live.explain("todos", 42, { where: { done: false } })), q = s.live.explain("todos", 43);
  await s.hello();
  assert.deepEqual(s.sent.filter(m => m.type !== "ping"), [{ type: "explain", id: 1, router: "todos", where: { done: false }, key: "42" }, { type: "explain", id: 2, router: "todos", key: "43" }]);
  await s.say({ type: "result", id: 1, data: { visible: false, because: "done = false, and the row has true" } });
  assert.deepEqual(p.is, { visible: false, because: "done = false, and the row has true" });
  await s.say({ type: "error", id: 2, problem: { status: 400, code: "unknown_type" } });
  await assert.rejects(q, { code: "unknown_type" });
});

for (const transport of ["websocket", "sse", "longpoll", "shortpoll"] as TransportName[]) {
  test(`${transport}: counts, calls, several rows at once, and answers that get lost`, async () => {
    const server = new Server(), clock = new Clock();
    const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, env: clock.env, transport });
    const list = live.list<Todo>("todos", { order: "id" }), count = live.count("todos");
    list.subscribe(() => {});
    count.subscribe(() => {});
    await clock.advance(0);
    assert.equal(count.value, 0);
    const created = outcome(list.create([{ title: "a" }, { title: "b" }]));
    await settle();
    assert.equal(list.rows.length, 2, "they come with the answer, whatever the transport");
    await clock.advance(3000);
    assert.deepEqual([created.is, list.rows, count.value], [list.rows, [{ id: 100, title: "a" }, { id: 101, title: "b" }], 2]);
    server.deaf = true;
    const lost = [list.update([{ key: 100, data: { title: "A" } }]), list.delete([101]), live.call("todos", "archive", { key: 100 }), live.explain("todos", 100), list.update(100, { title: "AA" })].map(outcome);
    await settle();
    server.deaf = false;
    await clock.advance(30_000);
    assert.deepEqual(lost.map(o => o.is), [[{ id: 100, title: "A" }], undefined, { archived: "100" }, { visible: true, because: "it is there" }, "conflict"]);
    assert.deepEqual([list.rows.map(r => r.title), count.value], [["A"], 1]);
    assert.equal(server.log.length, 4, "nothing is done twice");
    live.close();
    await settle();
    assert.equal(clock.pending, 0);
  });
}

test("who changed a row is told with the change, and on a conflict with the fields", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos"), heard: unknown[] = [];
  list.on("change", c => heard.push("by" in c ? c.by : "nobody"));
  await s.hello();
  await s.snapshot("e.1", ["3", 7, { id: 3, title: "a" }]);
  await s.say({ type: "change", query: "q", cursor: "e.2", changes: [{ op: "update", key: "3", version: 8, fields: { title: "b" }, by: { name: "Ben" } }, { op: "delete", key: "3", by: null }] });
  assert.deepEqual(heard, ["nobody", { name: "Ben" }, null]);

  const call = s.live.call<Todo>("todos", "update", { key: 3, version: 7, data: { title: "c" }, base: { title: "a" } }), done = s.live.call<Todo>("todos", "get", { key: 4 });
  await settle();
  const [update, get] = s.sent.filter(m => m.type === "call");
  assert.deepEqual({ ...update, mutation: "" }, { type: "call", id: 2, router: "todos", verb: "update", key: "3", version: 7, data: { title: "c" }, base: { title: "a" }, mutation: "" });
  const changed = { title: { version: 8, by: { name: "Ben" } } };
  await s.say({ type: "error", id: 2, problem: { status: 409, code: "conflict", current: { key: "3", version: 8, fields: { title: "b" } }, changed, conflicts: ["title"] } });
  await assert.rejects(call, { code: "conflict", changed, conflicts: ["title"] });
  await s.say({ type: "result", id: get!.id, row: { key: "4", version: 5, fields: { title: "d" } } });
  assert.deepEqual([list.version(await done), list.version({} as Todo)], [5, undefined]);
  s.live.close();
});
