// More of a list with a limit, and what is written to it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { enter, leave, row, scene, type Todo } from "./windows.ts";

test("more shows what is held already, and if it is refused not", async () => {
  const c = await scene();
  await c.change("e.11", [enter(4, 1), enter(5, 2)]);
  void c.list.more(1);
  await settle(2);
  assert.equal(c.ids(), "4 5 1 2 …");
  await c.s.say({ type: "error", id: 2, problem: { status: 400, code: "limit_too_large" } });
  assert.equal(c.ids(), "4 5 1 …");
});

test("more: the same rows under a new id, and those beyond the bound", async () => {
  const c = await scene();
  const done = outcome(c.list.more());
  await settle(2);
  assert.deepEqual(c.s.sent.slice(1), [
    { type: "subscribe", id: 2, router: "todos", order: "n", limit: 6, cursor: "e.10", bound: [30, 3] },
    { type: "unsubscribe", id: 1 },
  ]);
  await c.change("e.11", [leave(1, 2)]);
  assert.equal(c.ids(), "1 2 3 …", "what is still said to the old subscription comes again");
  await c.s.say({ type: "resumed", id: 2, query: "q2", cursor: "e.10" });
  await c.s.say({ type: "change", query: "q2", cursor: "e.11", changes: [leave(1, 2)] });
  assert.deepEqual([c.ids(), done.is], ["2 3 …", "waits"]);
  await c.s.say({ type: "change", query: "q2", cursor: "e.12", changes: [enter(0, 5)] });
  assert.deepEqual([c.ids(), done.is], ["0 2 3 …", "waits"]);
  await c.s.say({ type: "change", query: "q2", cursor: "e.12", more: true, changes: [enter(4, 40), enter(5, 50), enter(6, 60)] });
  assert.deepEqual([c.ids(), done.is], ["0 2 3 4 5 6 …", undefined]);
  assert.deepEqual(c.shown, ["2 3 …", "0 2 3 …", "0 2 3 4 5 6 …"]);
  const last = outcome(c.list.more(1));
  await settle(2);
  assert.equal(c.s.last("subscribe").limit, 7);
  await c.s.say({ type: "resumed", id: 3, query: "q3", cursor: "e.12" }, { type: "change", query: "q3", cursor: "e.12", more: false, changes: [] });
  assert.deepEqual([c.ids(), last.is], ["0 2 3 4 5 6", undefined], "there were none");
});

test("more, asked for twice, breaks with the connection and goes on with the next", async () => {
  const c = await scene();
  const both = [outcome(c.list.more()), outcome(c.list.more(1))];
  const asked = await c.resume();
  assert.deepEqual([asked.limit, asked.cursor, asked.bound], [7, "e.10", [30, 3]]);
  await c.s.say({ type: "resync", id: asked.id, query: "q3", cursor: "f.1", reason: "epoch", order: "n,id", more: false, rows: [row(1, 1), row(2, 2)] });
  assert.deepEqual([both.map(b => b.is), c.ids()], [[undefined, undefined], "1 2"]);
});

test("more, where all rows are held already, is done at once, and asks for later rows", async () => {
  const c = await scene(false, 4);
  const done = outcome(c.list.more());
  await settle(2);
  const { limit, bound } = c.s.last("subscribe");
  assert.deepEqual([done.is, limit, bound], [undefined, 8, undefined]);
  await c.s.say({ type: "error", id: 2, problem: { status: 400, code: "limit_too_large" } });
  assert.deepEqual([c.s.last("subscribe").limit, c.list.status.state], [4, "live"]);
  const whole = new Script().live.list("todos");
  assert.equal(await whole.more(), undefined, "and of a list without limit there is no more");
});

test("more, of more than there may be, is refused, and the window stays", async () => {
  const c = await scene();
  const done = outcome(c.list.more(1000));
  await settle(2);
  await c.s.say({ type: "error", id: 2, problem: { status: 400, code: "limit_too_large", errors: { limit: ["at most 1000"] } } });
  assert.equal(done.is, "limit_too_large");
  assert.deepEqual(c.s.last("subscribe"), { type: "subscribe", id: 3, router: "todos", order: "n", limit: 3, cursor: "e.10", bound: [30, 3] });
  await c.s.say({ type: "resumed", id: 3, query: "q3", cursor: "e.10" });
  assert.deepEqual([c.list.status.state, c.ids()], ["live", "1 2 3 …"]);
});

test("a window of more than there may be is refused; a bound that the server does not understand is left out", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos", { limit: 5000 });
  list.subscribe(() => {});
  await s.hello();
  await s.say({ type: "error", id: 1, problem: { status: 400, code: "limit_too_large" } });
  assert.deepEqual([list.status.state, list.status.error?.code], ["closed", "limit_too_large"]);
  const c = await scene();
  await c.resume();
  await c.s.say({ type: "error", id: 1, problem: { status: 400, code: "invalid_value", errors: { bound: ["want the values of n,id"] } } });
  assert.deepEqual(c.s.last("subscribe"), { type: "subscribe", id: 2, router: "todos", order: "n", limit: 3 });
});

test("more holds the subscription no longer than it waits", async () => {
  const s = new Script();
  const more = outcome(s.live.list<Todo>("todos", { order: "n", limit: 1 }).more());
  await s.hello();
  await s.clock.advance(1000);
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.1", order: "n,id", more: false, rows: [row(1, 1)] });
  assert.deepEqual([more.is, s.sent.length], [undefined, 1]);
  await s.clock.advance(1000);
  assert.equal(s.last("unsubscribe").id, 1);
});

test("more subscribes while it waits; a close rejects it", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos", { order: "n", limit: 1 });
  const first = outcome(list.more(1));
  await s.hello();
  assert.deepEqual(s.sent, [{ type: "subscribe", id: 1, router: "todos", order: "n", limit: 2 }]);
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.1", order: "n,id", more: true, rows: [row(1, 1), row(2, 2)] });
  assert.equal(first.is, undefined);
  const second = outcome(list.more());
  await settle(2);
  s.live.close();
  await assert.rejects(list.more(), { code: "closed" });
  assert.equal(second.is, "closed");
  assert.equal(s.clock.pending, 0);
});

test("a window that was forgotten begins with the limit that it was made with", async () => {
  const c = await scene();
  void c.list.more();
  await settle(2);
  await c.s.say({ type: "closed", id: 2, problem: { status: 401, code: "signed_out" } });
  assert.deepEqual([c.list.status.error?.code, c.ids()], ["signed_out", ""]);
  c.list.subscribe(() => {});
  await c.s.clock.advance(100_000);
  const { limit, bound } = c.s.last("subscribe");
  assert.deepEqual([limit, bound], [6, [30, 3]], "it was ended, and nobody began it again");
  const again = c.s.live.list<Todo>("todos", { order: "n", limit: 3 });
  again.subscribe(() => {})();
});

test("a create beyond the end of a full window is shown until its answer, and does not push a row out", async () => {
  const c = await scene();
  const p = outcome(c.list.create({ n: 99 }));
  await settle(2);
  assert.equal(c.ids(), "1 2 3 new? …");
  await c.s.say({ type: "result", id: c.s.last("call").id, cursor: "e.11", row: row(9, 99) });
  assert.deepEqual([c.ids(), p.is], ["1 2 3 …", { id: 9, n: 99 }]);
  assert.deepEqual(c.shown, ["1 2 3 new? …", "1 2 3 …"]);
});

test("a create within a full window pushes the last row out when it is answered", async () => {
  const c = await scene();
  const p = outcome(c.list.create({ n: 15 }));
  await settle(2);
  const { id, mutation } = c.s.last("call");
  await c.change("e.11", [{ op: "create", ...row(9, 15), at: 1, mutation: mutation! }, leave(3)]);
  await c.s.say({ type: "result", id, cursor: "e.11", row: row(9, 15) });
  assert.deepEqual(c.shown, ["1 new? 2 3 …", "1 9 2 …"]);
  assert.equal(p.is, c.list.rows[1]);
  void c.list.delete(9);
  await settle(2);
  assert.equal(c.ids(), "1 2 …", "and a row that is being deleted is not missing before it is gone");
  assert.deepEqual((await c.resume()).bound, [20, 2]);
});

test("fetch asks for the first rows only", async () => {
  const s = new Script();
  void s.live.list("todos", { order: "n", limit: 2 }).fetch();
  await s.hello();
  const { limit, order } = s.last("call");
  assert.deepEqual([limit, order], [2, "n"]);
});

test("more resolves when there are no more, though a row left in the same breath", async () => {
  const c = await scene();
  const more = outcome(c.list.more(2));
  await settle(2);
  assert.equal(more.is, "waits");
  const { id } = c.s.last("subscribe");
  await c.s.say([
    { type: "resumed", id, query: "q", cursor: "e.10" },
    { type: "change", query: "q", cursor: "e.11", more: false, changes: [enter(4, 40), enter(5, 50)] },
    { type: "change", query: "q", cursor: "e.12", changes: [leave(4, 2)] },
  ].map(m => JSON.stringify(m)).join("\n"));
  assert.deepEqual([c.ids(), more.is], ["1 2 3 5", undefined]);
});
