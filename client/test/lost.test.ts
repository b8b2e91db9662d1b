// Writes whose answers are lost: sent again, known again, or given up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { broken, milk, refuse, result, scene, type Todo } from "./todos.ts";

test("a lost answer: the write is sent again, and answered from the server's memory", async () => {
  const { s, list, p, calls, shown } = await broken();
  const [first, again] = calls();
  assert.deepEqual(again, { ...first, retry: "e.10" });
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await s.clock.advance(20_000);
  assert.equal(p.is, "waits");
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "create", ...milk }] });
  await result(s, { cursor: "e.11", row: milk });
  assert.equal(p.is, list.rows[2]);
  assert.equal(calls().length, 2);
  // Here the change did not name its mutation, so the guess stood beside it until the answer came.
  assert.deepEqual([...new Set(shown)], ["a b c?", "a b c c?", "a b c"]);
});

test("a lost answer: the echo may come before the write is answered again", async () => {
  const { s, list, p, mutation, shown, errors } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "create", ...milk, mutation }] });
  assert.equal(p.is, list.rows[2]);
  const next = outcome(list.update(3, { title: "C" }));
  await settle(2);
  await s.say({ type: "error", id: s.sent.filter(m => m.type === "call")[1]!.id, problem: { status: 403, code: "forbidden" } });
  assert.deepEqual([next.is, shown.at(-1), errors], ["waits", "a b C?", []], "what comes then is of no matter");
});

test("a lost answer: once per reconnect, before what was asked later, until it is answered", async () => {
  const { s, list, p, calls, shown } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" }, { type: "cursor", cursor: "e.15" });
  s.socket.drop();
  const later = outcome(list.create({ title: "d" }));
  await s.clock.advance(20_000);
  assert.equal(calls().length, 2);
  await s.hello();
  assert.deepEqual(calls().slice(2).map(c => [c.data, c.retry]), [[{ title: "c" }, "e.10"], [{ title: "d" }, undefined]]);
  await s.again();
  assert.deepEqual(calls().slice(4).map(c => [c.data, c.retry]), [[{ title: "c" }, "e.10"], [{ title: "d" }, "e.15"]]);
  await s.say({ type: "result", id: calls()[2]!.id, cursor: "e.16", row: milk });
  assert.deepEqual(p.is, { id: 3, title: "c" });
  await s.again();
  assert.deepEqual(calls().slice(6).map(c => [c.data, c.retry]), [[{ title: "d" }, "e.15"]]);
  assert.equal(later.is, "waits");
  assert.ok(shown.every(line => line.startsWith("a b c")), shown.join("|"));
});

test("a lost answer: a refusal of the second sending is one", async () => {
  const { s, p, shown } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await refuse(s, { status: 422, code: "invalid" });
  assert.deepEqual([p.is, shown], ["invalid", ["a b c?", "a b"]]);
});

test("a lost answer: trouble of the server at the second sending tells nothing of the first", async () => {
  const { s, p, mutation } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await refuse(s, { status: 503, code: "unavailable" });
  assert.equal(p.is, "waits");
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "create", ...milk, mutation }] });
  assert.deepEqual(p.is, { id: 3, title: "c" });
  const q = outcome(s.live.call("todos", "archive"));
  await settle(2);
  await refuse(s, { status: 503, code: "unavailable" });
  assert.equal(q.is, "unavailable", "at the first it does");
});

test("unknown_outcome: the echo tells that the write happened", async () => {
  const { s, list, p, mutation, shown } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await refuse(s, { status: 409, code: "unknown_outcome" });
  await s.clock.advance(4000);
  assert.equal(p.is, "waits");
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "create", ...milk, mutation }] });
  assert.equal(p.is, list.rows[2]);
  await s.clock.advance(10_000);
  assert.deepEqual(shown, ["a b c?", "a b c"]);
});

test("unknown_outcome: without an echo it is rolled back after a while", async () => {
  const { s, p, calls, shown, errors, mutation } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await refuse(s, { status: 409, code: "unknown_outcome" });
  await s.clock.advance(6000);
  assert.equal(p.is, "connection_lost");
  assert.deepEqual(errors, ["connection_lost"]);
  assert.deepEqual(shown, ["a b c?", "a b"]);
  assert.equal(calls().length, 2);
  // It happened after all: a change like any.
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "create", ...milk, mutation }] });
  assert.deepEqual(shown.at(-1), "a b c");
});

test("a lost answer: a resync that already has the row does not show it twice for long", async () => {
  const { s, p, shown } = await broken();
  await s.say({ type: "resync", id: 1, query: "r", cursor: "e.20", reason: "history", rows: [milk] });
  assert.equal(p.is, "waits");
  await result(s, { cursor: "e.11", row: milk });
  assert.deepEqual(p.is, { id: 3, title: "c" });
  assert.deepEqual(shown, ["a b c?", "c c?", "c"]);
});

test("unknown_outcome: after a resync no echo comes", async () => {
  const { s, p, shown } = await broken();
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await refuse(s, { status: 409, code: "unknown_outcome" });
  await s.say({ type: "resync", id: 1, query: "r", cursor: "e.20", reason: "history", rows: [milk] });
  assert.equal(p.is, "connection_lost");
  assert.deepEqual(shown, ["a b c?", "c"]);
});

test("a lost answer: where no cursor was known nobody can look for it", async () => {
  const s = new Script();
  const p = outcome(s.live.list<Todo>("todos").create({ title: "c" })), q = outcome(s.live.call("todos", "archive"));
  await s.hello();
  s.socket.drop();
  await settle(2);
  assert.deepEqual([p.is, q.is], ["connection_lost", "connection_lost"]);
});

test("a lost answer: without a cursor of its own list any other will do", async () => {
  const s = new Script();
  s.live.channel("x").on(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "c", cursor: "e.1" });
  const off = s.live.list<Todo>("todos").subscribe(() => {});
  await settle(2);
  await s.snapshot("e.2");
  off();
  const p = outcome(s.live.list<Todo>("others").create({ title: "c" })), q = outcome(s.live.call("todos", "archive", { key: 7 }));
  await settle(2);
  s.socket.drop();
  await s.clock.advance(1000);
  assert.deepEqual([p.is, q.is], ["waits", "waits"]);
  await s.hello();
  assert.deepEqual(s.sent.slice(-2).map(m => m.type === "call" && [m.verb, m.retry]), [["create", "e.2"], ["archive", "e.2"]]);
  const [create, archive] = s.sent.slice(-2);
  await s.say({ type: "error", id: create!.id, problem: { status: 409, code: "unknown_outcome" } });
  await s.say({ type: "error", id: archive!.id, problem: { status: 409, code: "unknown_outcome" } });
  assert.deepEqual([p.is, q.is], ["connection_lost", "connection_lost"], "and no echo will ever tell");
});

test("a lost answer: reads are asked again, publishes are not", async () => {
  const { s, list } = await scene();
  const got = outcome(list.get(1)), published = outcome(s.live.channel("x").publish(1));
  await settle(2);
  s.socket.drop();
  await settle(2);
  assert.deepEqual([got.is, published.is], ["waits", "connection_lost"]);
  await s.clock.advance(1000);
  await s.hello();
  assert.equal(s.last("call").verb, "get");
  await result(s, { row: { key: "1", version: 1, fields: { title: "a" } } });
  assert.deepEqual(got.is, { title: "a" });
});

test("an answer lost after the echo came counts as come", async () => {
  const { s, list } = await scene();
  const p = outcome(list.update(1, { title: "A" })), q = outcome(list.update(1, { n: 5 }));
  await settle(2);
  await s.change("e.11", "update", "1", 2, { title: "A" }, s.last("call").mutation);
  s.socket.drop();
  await settle(2);
  assert.deepEqual(p.is, { id: 1, title: "A", n: 1 });
  assert.equal(q.is, "waits");
  await s.clock.advance(1000);
  await s.hello();
  assert.deepEqual([s.last("call").version, s.last("call").data], [2, { n: 5 }]);
});
