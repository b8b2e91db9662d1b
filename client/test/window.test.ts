// Lists with a limit: the first rows and how far they are known, as the spec of windows in protocol.md says it, line by line.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import { Session } from "../src/session.ts";
import type { Change } from "../src/types.ts";
import type { WireChange } from "../src/wire.ts";
import { Clock, settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { Server } from "./server.ts";
import { enter, leave, row, scene, type Subscribe, type Todo } from "./windows.ts";

test("what the server said of the caller's rights goes with the cursor", async () => {
  const s = new Script();
  s.live.list<Todo>("todos", { order: "n", limit: 1 }).subscribe(() => {});
  s.live.count("todos").subscribe(() => {});
  await s.hello();
  assert.ok(s.sent.every(m => !("tag" in m)));
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.1", tag: "t1", order: "n,id", more: true, rows: [row(1, 1)] });
  await s.say({ type: "snapshot", id: 2, query: "c", cursor: "e.1", tag: "c1", count: 3 });
  const asked = () => s.sent.filter(m => m.type === "subscribe").slice(-2).map(m => [m.id, m.cursor, m.tag]);
  await s.again();
  assert.deepEqual(asked(), [[1, "e.1", "t1"], [2, "e.1", "c1"]]);
  await s.say({ type: "resumed", id: 1, query: "q", cursor: "e.1" }, { type: "change", query: "q", cursor: "e.2", more: true, changes: [] });
  await s.say({ type: "snapshot", id: 2, query: "c", cursor: "e.2", tag: "c2", count: 2 });
  await s.again();
  assert.deepEqual(asked(), [[1, "e.2", "t1"], [2, "e.2", "c2"]], "what resumes says nothing of them");
  await s.say({ type: "resync", id: 1, query: "q", cursor: "e.3", reason: "rights", tag: "t2", order: "n,id", more: false, rows: [] });
  await s.again();
  assert.deepEqual(asked(), [[1, "e.3", "t2"], [2, "e.2", "c2"]]);
  await s.say({ type: "error", id: 1, problem: { status: 400, code: "malformed_cursor" } }, { type: "error", id: 2, problem: { status: 400, code: "malformed_cursor" } });
  assert.deepEqual(asked(), [[3, undefined, undefined], [4, undefined, undefined]], "and is forgotten with it");
  await s.say({ type: "snapshot", id: 3, query: "q", cursor: "e.4", order: "n,id", more: false, rows: [] });
  await s.again();
  assert.deepEqual(s.sent.filter(m => m.type === "subscribe" && m.cursor).slice(-1).map(m => "tag" in m), [false]);
});

for (const transport of ["longpoll", "shortpoll", "sse"] as const) test(`more, where there are none, is answered at once (${transport})`, async () => {
  const clock = new Clock(), server = new Server();
  for (const key of ["1", "2", "3"]) server.write(key, { n: Number(key) });
  const live = connect("http://host.test/live/", { fetch: server.fetch as never, transport, storage: null, env: clock.env });
  const list = live.list<Todo>("todos", { order: "n", limit: 3 });
  list.subscribe(() => {});
  await clock.advance(3000);
  const more = outcome(list.more());
  await clock.advance(2000);
  assert.deepEqual([more.is, list.rows.length], [undefined, 3]);
  live.close();
});

test("a long-poll that comes back at once because a window lacks nothing rests", async () => {
  const clock = new Clock(), server = new Server();
  server.write("1", { n: 1 });
  // A proxy that lets nobody wait.
  const hasty = async (url: string, init: object) => {
    if (server.attempts.length > 50) throw new TypeError("enough");
    return server.fetch(url.replace(/wait=\d+/, "wait=0"), init);
  };
  const live = connect("http://host.test/live/", { fetch: hasty as never, transport: "longpoll", storage: null, env: clock.env });
  live.list<Todo>("todos", { order: "n", limit: 3 }).subscribe(() => {});
  await clock.advance(10_000);
  assert.ok(server.attempts.length <= 13, `${server.attempts.length} rounds in 10 s`);
  live.close();
});

test("a window asks for its limit, and resumes with its bound", async () => {
  const c = await scene();
  assert.equal(c.ids(), "1 2 3 …");
  assert.deepEqual(c.s.sent[0], { type: "subscribe", id: 1, router: "todos", order: "n", limit: 3 });
  assert.deepEqual(await c.resume(), { type: "subscribe", id: 1, router: "todos", order: "n", limit: 3, cursor: "e.10", bound: [30, 3] });
});

test("a full window has a bound, whether there are more rows or not; one that is not full has none", async () => {
  assert.deepEqual((await (await scene(false)).resume()).bound, [30, 3]);
  const c = await scene(false, 4);
  assert.equal(c.ids(), "1 2 3");
  assert.equal("bound" in (await c.resume()), false);
});

test("lists that differ in limit or include are two; order may be an array", async () => {
  const { live } = new Script();
  assert.notEqual(live.list("todos", { limit: 3 }), live.list("todos", { limit: 4 }));
  assert.notEqual(live.list("todos", { limit: 3 }), live.list("todos"));
  assert.notEqual(live.list("todos", { include: ["owner"] }), live.list("todos"));
  assert.equal(live.list("todos", { order: ["-n", "id"] }), live.list("todos", { order: "-n,id" }));
});

test("a row that enters pushes the last one out, and the bound moves", async () => {
  const c = await scene(false);
  await c.change("e.11", [{ ...enter(4, 15), at: 1 }, leave(3)]);
  assert.deepEqual(c.shown, ["1 4 2"]);
  assert.deepEqual((await c.resume()).bound, [20, 2]);
});

test("a row too many is dropped when the server says whether there are more, and who hears the changes is told so", async () => {
  const c = await scene(false);
  const heard: Change<Todo>[] = [];
  c.list.on("change", change => heard.push(change));
  await c.change("e.11", [enter(4, 15)], true);
  assert.deepEqual([c.ids(), heard.map(h => "key" in h && [h.op, h.key])], ["1 4 2 …", [["enter", "4"], ["leave", "3"]]]);
  // What it no longer holds it does not update.
  await c.change("e.12", [{ op: "update", key: "3", version: 2, fields: { n: 1 } }]);
  assert.equal(c.ids(), "1 4 2 …");
});

test("what a change that tells the window whole does not name is gone, and who hears the changes is told so", async () => {
  const c = await scene(), seen: string[] = [];
  c.list.on("change", change => seen.push("key" in change ? `${change.op} ${change.key}` : change.op));
  const whole = (cursor: string, changes: WireChange[], more: boolean) => c.s.say({ type: "change", query: "q", cursor, more, whole: true, changes });
  await whole("e.11", [{ op: "delete", key: "1", version: 1 }, enter(2, 20), enter(4, 40)], true);
  assert.deepEqual([c.ids(), seen.filter(e => /delete|leave/.test(e))], ["2 4 …", ["delete 1", "leave 3"]]);
  assert.deepEqual((await c.resume()).bound, [40, 4]);
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" });
  await whole("e.11", [enter(4, 40)], false);
  assert.deepEqual([c.ids(), "bound" in (await c.resume())], ["4", false], "it is a fill, too");
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" });
  await c.change("e.12", [enter(5, 50)], false);
  assert.equal(c.ids(), "4 5", "any other drops nothing");
});

test("a fill is taken with the cursor of the change before it, and not when it lies before", async () => {
  const c = await scene();
  await c.change("e.11", [leave(2, 2)]);
  assert.equal(c.ids(), "1 3 …");
  await c.change("e.11", [enter(9, 90)]);
  assert.equal(c.ids(), "1 3 …", "an ordinary change of an equal cursor has been seen");
  await c.change("e.10", [enter(9, 90)], true);
  assert.equal(c.ids(), "1 3 …");
  await c.change("e.11", [enter(4, 40)], false);
  assert.equal(c.ids(), "1 3 4");
  assert.deepEqual((await c.resume()).bound, [40, 4]);
});

test("until it is filled the bound stays where it was", async () => {
  const c = await scene();
  await c.change("e.11", [leave(3, 2)]);
  const asked = await c.resume();
  assert.deepEqual([asked.cursor, asked.bound], ["e.11", [30, 3]], "the row is gone, and still nothing up to there is missing");
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" });
  await c.change("e.12", [enter(5, 25)]);
  assert.deepEqual((await c.resume()).bound, [25, 5], "full again");
});

test("a half-filled window resumes with its bound, and is filled then", async () => {
  const c = await scene();
  await c.change("e.11", [leave(2, 2), leave(3, 2)]);
  assert.deepEqual((await c.resume()).bound, [30, 3]);
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" });
  await c.change("e.11", [enter(4, 40)], true);
  assert.equal(c.ids(), "1 4 …");
  assert.deepEqual((await c.resume()).bound, [40, 4], "more is true: all up to the last row is held");
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" });
  await c.change("e.11", [], false);
  assert.equal(c.ids(), "1 4");
  assert.equal("bound" in (await c.resume()), false, "more is false: all rows are held");
});

test("what is held beyond the limit stays until the server says which rows there are: those before may leave again", async () => {
  const c = await scene();
  assert.deepEqual((await c.resume()).bound, [30, 3]);
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.10" });
  await c.change("e.11", [enter(4, 1), enter(5, 2)]);
  assert.equal(c.ids(), "4 5 1 …", "the first three are shown");
  await c.change("e.12", [leave(4, 2), leave(5, 2)]);
  assert.equal(c.ids(), "1 2 3 …");
  await c.change("e.12", [], true);
  assert.equal(c.ids(), "1 2 3 …");
  assert.deepEqual((await c.resume()).bound, [30, 3]);
});

test("a row that is held beyond the limit is kept up to date", async () => {
  const c = await scene();
  await c.change("e.11", [enter(4, 1), enter(5, 2)]);
  const heard: unknown[] = [];
  c.list.on("change", change => heard.push("key" in change && [change.op, change.key]));
  await c.change("e.12", [{ op: "update", key: "3", version: 2, fields: { title: "new" } }, { op: "delete", key: "2", version: 2 }]);
  assert.deepEqual([c.ids(), c.list.rows.length], ["4 5 1 …", 3]);
  await c.change("e.13", [leave(4, 2)]);
  assert.deepEqual([c.ids(), c.list.rows[2]], ["5 1 3 …", { id: 3, n: 30, title: "new" }]);
  assert.deepEqual(heard, [["update", "3"], ["delete", "2"], ["leave", "4"]], "what is not shown is heard of");
});

test("the bound of who holds more than the limit is the last row that is held", async () => {
  const c = await scene();
  await c.change("e.11", [enter(4, 1), enter(5, 40)]);
  assert.deepEqual((await c.resume()).bound, [40, 5]);
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" });
  await c.change("e.12", [], true);
  assert.deepEqual((await c.resume()).bound, [20, 2], "trimmed");
});

test("the bound moves on with a last row beyond it, and not back", async () => {
  const c = await scene();
  await c.change("e.11", [leave(2, 2), leave(1, 2)]);
  await c.change("e.12", [leave(3, 2), enter(4, 40)]);
  assert.deepEqual((await c.resume()).bound, [40, 4], "one row, beyond what was known");
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.12" });
  await c.change("e.13", [leave(4, 2), enter(5, 25)]);
  assert.deepEqual((await c.resume()).bound, [40, 4]);
  await c.s.say({ type: "resumed", id: 1, query: "q", cursor: "e.13" });
  await c.change("e.14", [enter(0, 40)]);
  assert.deepEqual((await c.resume()).bound, [40, 4], "equal to it but for the key field, and before");
});

test("a bound of an order that goes down lies the other way", async () => {
  const s = new Script();
  s.live.list<Todo>("todos", { order: "-n", limit: 3 }).subscribe(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.10", order: "-n,id", more: true, rows: [row(1, 30), row(2, 20), row(3, 10)] });
  await s.say({ type: "change", query: "q", cursor: "e.11", changes: [leave(2), leave(3), enter(4, 15)] });
  await s.again();
  assert.deepEqual(s.last("subscribe").bound, [10, 3]);
  await s.say({ type: "resumed", id: 1, query: "q", cursor: "e.11" }, { type: "change", query: "q", cursor: "e.12", changes: [leave(4), enter(5, 5)] });
  await s.again();
  assert.deepEqual(s.last("subscribe").bound, [5, 5]);
});

test("a window without bound, and one whose rows all left, keep what they had", async () => {
  const c = await scene(false, 4);
  await c.change("e.11", [leave(1, 2), enter(5, 99)]);
  assert.equal("bound" in (await c.resume()), false, "all rows are held still");
  const d = await scene();
  await d.change("e.11", [leave(1, 2), leave(2, 2), leave(3, 2)], true);
  assert.deepEqual([d.ids(), (await d.resume()).bound], [" …", [30, 3]]);
});

test("hasMore is what was said last, and true while rows beyond the limit are held", async () => {
  const c = await scene(false);
  await c.change("e.11", [leave(1, 2)]);
  assert.equal(c.list.hasMore, false, "nobody guesses");
  await c.change("e.12", [enter(1, 10), enter(4, 1)]);
  assert.equal(c.ids(), "4 1 2 …");
  await c.change("e.13", [leave(4, 2)]);
  assert.equal(c.ids(), "1 2 3");
  await c.change("e.14", [], true);
  assert.equal(c.ids(), "1 2 3 …", "a change may have nothing else to say");
  await c.change("e.15", [leave(1, 2)]);
  assert.equal(c.list.hasMore, true);
  assert.deepEqual(c.shown, ["2 3", "4 1 2 …", "1 2 3", "1 2 3 …", "2 3 …"]);
});

test("own rows that are not answered are shown beside the first of those that are held", async () => {
  const c = await scene();
  await c.change("e.11", [enter(4, 1), enter(5, 2)]);
  void c.list.create({ n: 99 });
  void c.list.delete(5);
  await settle(2);
  assert.equal(c.ids(), "4 1 new? …");
});

test("a session that takes the place of another does not go on with a window that the other changed meanwhile", async () => {
  const c = await scene();
  const feed = c.list as never, session = new Session(c.s.live as never);
  assert.deepEqual((session._add(feed) as Subscribe).bound, [30, 3]);
  await c.change("e.11", [enter(4, 15), leave(3)]);
  session._receive({ type: "resumed", id: 1, query: "other", cursor: "e.10" });
  session._receive({ type: "change", query: "other", cursor: "e.12", changes: [leave(4, 2)] });
  await settle(2);
  assert.equal(c.ids(), "1 4 2 …", "there the row 3 is held still");
  const { id, cursor, bound } = c.s.last("subscribe");
  assert.deepEqual([id, cursor, bound], [2, "e.11", [20, 2]]);
  const next = new Session(c.s.live as never);
  next._add(feed);
  next._receive({ type: "resumed", id: 2, query: "next", cursor: "e.11" });
  next._receive({ type: "change", query: "next", cursor: "e.12", changes: [leave(4, 2)] });
  assert.equal(c.ids(), "1 2 …");
});

test("a window does not come along with a call", async () => {
  const clock = new Clock(), server = new Server();
  const live = connect("http://host.test/live/", { fetch: server.fetch as never, transport: "sse", storage: null, env: clock.env });
  const list = live.list<Todo>("todos", { order: "n", limit: 3 });
  list.subscribe(() => {});
  live.list("todos").subscribe(() => {});
  await clock.advance(100);
  const all = [outcome(list.create({ n: 1 })), outcome(live.list("todos").create({ n: 2 }))];
  await clock.advance(100);
  const came = server.received.filter(r => r.via === "call").map(({ m }) => (m.type === "subscribe" ? m.limit ?? "all" : m.type));
  assert.deepEqual([came, list.rows.map(r => r.n)], [["call", "all", "call"], [1, 2]]);
  assert.ok(all.every(o => o.is !== "waits"));
  live.close();
});

test("null is a value of a bound", async () => {
  const c = await scene();
  await c.change("e.11", [{ op: "update", key: "1", version: 2, fields: { n: null } }, enter(4, null), enter(5, null), leave(2), leave(3)]);
  assert.deepEqual((await c.resume()).bound, [null, 5]);
});

test("rows that are equal in the order are ordered as the effective order says, not by key as text", async () => {
  const c = await scene();
  await c.s.say({ type: "resync", id: 1, query: "q", cursor: "e.20", reason: "bulk", order: "n,id", more: false, rows: [row(9, 1), row(10, 1)] });
  await c.change("e.21", [enter(101, 1)]);
  assert.equal(c.ids(), "9 10 101");
  await c.s.say({ type: "resync", id: 1, query: "q", cursor: "e.30", reason: "rights", order: "n,-id", more: false, rows: [row(10, 1), row(9, 1)] });
  assert.equal(c.ids(), "10 9");
});

test("a list without limit that is too long becomes a window, and asks for that from then on", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  list.subscribe(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.10", order: "id", limit: 2, more: true, rows: [row(1, 1), row(2, 1)] });
  await s.say({ type: "change", query: "q", cursor: "e.11", changes: [enter(0, 0), leave(2)] });
  assert.deepEqual([list.rows.map(r => r.id), list.hasMore], [[0, 1], true]);
  s.socket.drop();
  await s.clock.advance(1000);
  await s.hello();
  assert.deepEqual(s.last("subscribe"), { type: "subscribe", id: 1, router: "todos", limit: 2, cursor: "e.11", bound: [1] });
});
