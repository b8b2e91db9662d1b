import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../src/client.ts";
import type { ListFeed } from "../src/list.ts";
import { Session } from "../src/session.ts";
import { keyOf } from "../src/rows.ts";
import type { Change, List } from "../src/types.ts";
import { settle } from "./clock.ts";
import type { ClientMessage } from "../src/wire.ts";
import { Script, outcome } from "./script.ts";

type Todo = { id?: number; title: string; done?: boolean; n?: number | null };

async function scene(order?: string, more = {}): Promise<{ s: Script; list: List<Todo>; shown: string[]; errors: string[] }> {
  const s = new Script();
  const list = s.live.list<Todo>("todos", order ? { order } : {});
  const shown: string[] = [], errors: string[] = [];
  // Each notification as one line: what a person would have seen, flickers and all.
  list.subscribe(rows => shown.push(rows.map(r => r.title + (list.pending(r) ? "?" : "")).join(" ")));
  list.on("error", e => errors.push(e.code));
  await s.hello();
  await s.snapshot("e.10", ["1", 1, { id: 1, title: "a", n: 1, ...more }], ["2", 1, { id: 2, title: "b", n: 2, ...more }]);
  shown.length = 0;
  return { s, list, shown, errors };
}

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

// ---- optimistic writes

const result = (s: Script, more: object) => s.say({ type: "result", id: s.last("call").id, ...more } as never);
const refuse = (s: Script, problem: object) => s.say({ type: "error", id: s.last("call").id, problem });

test("create: echo, then result", async () => {
  const { s, list, shown } = await scene();
  const p = outcome(list.create({ title: "c" }));
  await settle(2);
  const { mutation } = s.last("call");
  await s.change("e.11", "create", "3", 1, { id: 3, title: "c" }, mutation);
  assert.equal(p.is, "waits");
  await result(s, { cursor: "e.11", row: { key: "3", version: 1, fields: { id: 3, title: "c" } } });
  assert.deepEqual(shown, ["a b c?", "a b c"]);
  assert.equal(p.is, list.rows[2], "the very row that the list shows");
});

test("create: echo in the same breath as the result", async () => {
  const { s, list, shown } = await scene();
  void list.create({ title: "c" });
  await settle(2);
  const { mutation, id } = s.last("call");
  s.socket.send({ type: "change", query: "q", cursor: "e.11", changes: [{ op: "create", key: "3", version: 1, fields: { title: "c" }, mutation: mutation! }] });
  await s.say({ type: "result", id, cursor: "e.11", row: { key: "3", version: 1, fields: { title: "c" } } });
  assert.deepEqual(shown, ["a b c?", "a b c"]);
});

test("create: a row that does not belong here disappears with the result of a socket", async () => {
  const { s, list, shown } = await scene();
  const p = outcome(list.create({ title: "c" }));
  await settle(2);
  await result(s, { cursor: "e.11", row: { key: "3", version: 1, fields: { id: 3, title: "c" } } });
  assert.deepEqual(shown, ["a b c?", "a b"]);
  assert.deepEqual(p.is, { id: 3, title: "c" });
});

test("create: refused, rolled back", async () => {
  const { s, list, shown, errors } = await scene();
  const p = list.create({ title: "" });
  await settle(2);
  await refuse(s, { status: 422, code: "invalid_value", errors: { title: ["is empty"] } });
  await assert.rejects(p, { code: "invalid_value", errors: { title: ["is empty"] } });
  assert.deepEqual(shown, ["a b ?", "a b"]);
  assert.deepEqual(errors, ["invalid_value"]);
});

test("update: shown at once, folded by its echo; a result without cursor changes nothing", async () => {
  const { s, list, shown } = await scene();
  const p = outcome(list.update(1, { title: "A" }));
  await settle(2);
  assert.equal(s.last("call").version, 1);
  await s.change("e.11", "update", "1", 2, { title: "A" }, s.last("call").mutation);
  await result(s, { cursor: "e.11", row: { key: "1", version: 2, fields: { id: 1, title: "A", n: 1 } } });
  assert.deepEqual(p.is, { id: 1, title: "A", n: 1 });
  const again = outcome(list.update(1, { title: "A" }));
  await settle(2);
  await result(s, { row: { key: "1", version: 2, fields: { id: 1, title: "A", n: 1 } } });
  assert.deepEqual(again.is, { id: 1, title: "A", n: 1 });
  assert.deepEqual(shown, ["A? b", "A b", "A? b", "A b"]);
});

test("update: another's change under a pending one shows through where it says something else", async () => {
  const { s, list, shown } = await scene();
  void list.update(1, { title: "A" });
  await settle(2);
  await s.change("e.11", "update", "1", 2, { title: "x", n: 9 });
  assert.deepEqual(list.rows[0], { id: 1, title: "A", n: 9 });
  await refuse(s, { status: 409, code: "conflict", current: { key: "1", version: 2, fields: { id: 1, title: "x", n: 9 } } });
  assert.deepEqual(shown, ["A? b", "A? b", "x b"]);
});

test("two updates in a row: the second waits, and carries the version that the first left", async () => {
  const { s, list, shown } = await scene();
  const first = outcome(list.update(1, { title: "A" }));
  const second = outcome(list.update(1, { n: 7 }));
  const other = outcome(list.update(2, { title: "B" }));
  await settle(2);
  const calls = () => s.sent.filter(m => m.type === "call");
  assert.deepEqual(calls().map(c => [c.key, c.version]), [["1", 1], ["2", 1]]);
  assert.deepEqual(list.rows, [{ id: 1, title: "A", n: 7 }, { id: 2, title: "B", n: 2 }]);
  const [one] = calls();
  await s.change("e.11", "update", "1", 2, { title: "A" }, one!.mutation);
  await s.say({ type: "result", id: one!.id, cursor: "e.11", row: { key: "1", version: 2, fields: { id: 1, title: "A", n: 1 } } });
  assert.deepEqual(calls().slice(2).map(c => [c.key, c.version, c.data]), [["1", 2, { n: 7 }]]);
  assert.deepEqual([(first.is as Todo).title, second.is, other.is], ["A", "waits", "waits"]);
  assert.deepEqual(shown.at(-1), "A? B?");
  await s.change("e.12", "update", "1", 3, { n: 7 }, s.last("call").mutation);
  await result(s, { cursor: "e.12", row: { key: "1", version: 3, fields: { id: 1, title: "A", n: 7 } } });
  assert.deepEqual(second.is, { id: 1, title: "A", n: 7 });
  assert.deepEqual(shown.at(-1), "A B?");
});

test("two updates in a row: the first refused, the second keeps the version that the writer saw", async () => {
  const { s, list } = await scene();
  const first = outcome(list.update(1, { title: "" }));
  const second = outcome(list.update(1, { n: 7 }));
  await settle(2);
  await refuse(s, { status: 422, code: "invalid_value" });
  assert.equal(first.is, "invalid_value");
  assert.deepEqual([s.last("call").version, s.last("call").data], [1, { n: 7 }]);
  assert.deepEqual(list.rows[0], { id: 1, title: "a", n: 7 });
  await refuse(s, { status: 409, code: "conflict" });
  assert.equal(second.is, "conflict");
  assert.deepEqual(list.rows[0], { id: 1, title: "a", n: 1 });
});

test("delete: hidden at once, back when refused", async () => {
  const { s, list, shown } = await scene();
  const p = outcome(list.delete(1));
  await settle(2);
  await refuse(s, { status: 403, code: "forbidden" });
  assert.equal(p.is, "forbidden");
  const q = outcome(list.delete(1));
  await settle(2);
  await s.change("e.11", "delete", "1", 2, undefined, s.last("call").mutation);
  await result(s, { cursor: "e.11" });
  assert.equal(q.is, undefined);
  assert.deepEqual(shown, ["b", "a b", "b"]);
});

test("writes to a row that is being created wait for its key", async () => {
  const { s, list, shown } = await scene();
  const created = outcome(list.create({ title: "c" }));
  const temporary = list.key(list.rows[2]!)!;
  const updated = outcome(list.update(temporary, { title: "C" }));
  const deleted = outcome(list.delete(temporary));
  await settle(2);

  assert.deepEqual(list.rows.length, 2);
  await s.change("e.11", "create", "3", 1, { id: 3, title: "c" }, s.last("call").mutation);
  await result(s, { cursor: "e.11", row: { key: "3", version: 1, fields: { id: 3, title: "c" } } });
  assert.deepEqual(created.is, { id: 3, title: "c" });
  assert.deepEqual([s.last("call").verb, s.last("call").key, s.last("call").version], ["update", "3", 1]);
  await s.change("e.12", "update", "3", 2, { title: "C" }, s.last("call").mutation);
  await result(s, { cursor: "e.12", row: { key: "3", version: 2, fields: { id: 3, title: "C" } } });
  assert.deepEqual(updated.is, { id: 3, title: "C" });
  assert.deepEqual([s.last("call").verb, s.last("call").key, s.last("call").version], ["delete", "3", 2]);
  await s.change("e.13", "delete", "3", 3, undefined, s.last("call").mutation);
  await result(s, { cursor: "e.13" });
  assert.equal(deleted.is, undefined);
  assert.ok(shown.every(line => line === "a b"), shown.join("|"));
});

test("what was to be done to a row that never came to be is refused with it", async () => {
  const { s, list, errors } = await scene();
  void list.create({ title: "" });
  const key = list.key(list.rows[2]!)!;
  const all = [outcome(list.update(key, { n: 1 })), outcome(list.update(key, { n: 2 })), outcome(list.delete(key))];
  await settle(2);
  await refuse(s, { status: 422, code: "invalid_value" });
  assert.deepEqual(all.map(o => o.is), ["invalid_value", "invalid_value", "invalid_value"]);
  assert.equal(s.sent.filter(m => m.type === "call").length, 1);
  assert.equal(errors.length, 4);
  assert.equal(list.rows.length, 2);
});

test("a new row without the field of the order stands where new rows mostly do", async () => {
  for (const [order, want] of [["-n", "c? b a"], ["n", "a b c?"], ["done,-n", "c? b a"], ["-done,n", "a b c?"]] as const) {
    const { list, shown } = await scene(order, { done: false });
    void list.create({ title: "c" });
    await settle(2);
    assert.deepEqual(shown, [want]);
  }
});

// A row that was deleted and made again under its key begins with a low version, which is no sign of an old row.
for (const [name, late] of [["before", false], ["after", true]] as const) {
  test(`update: the row was made again under its key, the list hears of it ${name} the conflict`, async () => {
    const { s, list, shown } = await scene();
    void list.update("1", { title: "x" });
    await settle(2);
    const conflict = { type: "error" as const, id: s.last("call").id, problem: { status: 409, code: "conflict", current: { key: "1", version: 7, fields: { id: 1, title: "g" } } } };
    if (late) await s.say(conflict);
    await s.say({ type: "change", query: "q", cursor: "e.12", changes: [{ op: "delete", key: "1", version: 8 }, { op: "create", key: "1", version: 1, fields: { id: 1, title: "new" } }] });
    if (!late) await s.say(conflict);
    assert.deepEqual([shown.at(-1), list.rows.length], ["b new", 2]);
  });
}

test("update: the row was made again under its key, which a resync tells", async () => {
  const { s, list, shown } = await scene();
  void list.update("1", { title: "x" });
  await settle(2);
  await s.say({ type: "error", id: s.last("call").id, problem: { status: 409, code: "conflict", current: { key: "1", version: 7, fields: { id: 1, title: "g" } } } });
  assert.equal(shown.at(-1), "g b");
  await s.say({ type: "resync", id: 1, query: "q", cursor: "e.13", reason: "history", rows: [{ key: "1", version: 1, fields: { id: 1, title: "new" } }] });
  assert.deepEqual([shown.at(-1), list.rows.length], ["new", 1]);
});

test("rows without a numeric version are written without one", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  list.subscribe(() => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.2", rows: [{ key: "1", version: "e.1", fields: { title: "a" } }] });
  void list.update(1, { title: "b" });
  await settle(2);
  assert.equal("version" in s.last("call"), false);
  await s.say({ type: "change", query: "q", cursor: "e.3", changes: [{ op: "update", key: "1", version: "e.0", fields: { title: "old" } }] });
  assert.deepEqual(list.rows[0], { title: "b" });
});

test("calls made while there is no connection are sent in order when there is", async () => {
  const { s, list, shown } = await scene();
  s.socket.drop();
  await settle(2);
  const n = s.sent.length;
  const p = outcome(list.create({ title: "c" }));
  void list.update(1, { title: "A" });
  void s.live.channel("x").publish(1);
  await settle(2);
  assert.deepEqual(shown, ["A? b c?"]);
  assert.equal(s.sent.length, n);
  await s.clock.advance(1000);
  await s.hello();
  assert.deepEqual(s.sent.slice(n).map(m => [m.type, "verb" in m && m.verb]), [["subscribe", false], ["call", "create"], ["call", "update"], ["publish", false]]);
  const { mutation, id } = s.sent.slice(n)[1] as { mutation: string; id: number };
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "create", key: "3", version: 1, fields: { title: "c" }, mutation }] });
  await s.say({ type: "result", id, cursor: "e.11", row: { key: "3", version: 1, fields: { title: "c" } } });
  assert.deepEqual(p.is, { title: "c" });
});

test("a result that comes before the list is answered is shown until the list has come to it", async () => {
  const { s, shown } = await scene();
  s.socket.drop();
  const list = s.live.list<Todo>("todos");
  void list.create({ title: "c" });
  await s.clock.advance(1000);
  await s.hello();
  const { id, mutation } = s.last("call");
  await s.say({ type: "result", id, cursor: "e.12", row: { key: "3", version: 1, fields: { title: "c" } } });
  await s.say({ type: "resumed", id: 1, query: "r", cursor: "e.10" });
  await s.say({ type: "change", query: "r", cursor: "e.11", changes: [{ op: "update", key: "1", version: 2, fields: { title: "A" } }] });
  await s.say({ type: "change", query: "r", cursor: "e.12", changes: [{ op: "create", key: "3", version: 1, fields: { title: "c" }, mutation: mutation! }] });
  assert.deepEqual([...new Set(shown)], ["a b c?", "a b c", "A b c"]);
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

/** A create whose answer was lost with the connection, after which the client came back. */
async function broken(): Promise<Awaited<ReturnType<typeof scene>> & { p: { is: unknown }; mutation: string; calls: () => Call[] }> {
  const c = await scene();
  const p = outcome(c.list.create({ title: "c" }));
  await settle(2);
  const mutation = c.s.last("call").mutation!;
  c.s.socket.drop();
  await c.s.clock.advance(1000);
  await c.s.hello();
  return { ...c, p, mutation, calls: () => c.s.sent.filter(m => m.type === "call") };
}

type Call = Extract<ClientMessage, { type: "call" }>;
const milk = { key: "3", version: 1, fields: { id: 3, title: "c" } };

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

test("a resync may name the query anew: what comes by the old name is not for the list", async () => {
  const { s, list } = await scene();
  await s.say({ type: "resync", id: 1, query: "q.1", cursor: "f.1", reason: "epoch", rows: [] });
  await s.say({ type: "change", query: "q", cursor: "f.2", changes: [{ op: "create", key: "7", version: 1, fields: { title: "old name" } }] });
  await s.say({ type: "change", query: "q.1", cursor: "f.3", changes: [{ op: "create", key: "8", version: 1, fields: { title: "new name" } }] });
  assert.deepEqual(list.rows.map(row => row.title), ["new name"]);
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

test("close rejects what waits, and leaves the rows and no timer", async () => {
  const { s, list, shown } = await scene();
  const all = [list.create({ title: "c" }), list.get(1), list.update(1, { n: 1 }), list.update(1, { n: 2 }), s.live.channel("x").publish(1)].map(outcome);
  await settle(2);
  s.live.close();
  s.live.close();
  await settle(2);
  assert.deepEqual(all.map(o => o.is), ["closed", "closed", "closed", "closed", "closed"]);
  assert.equal(outcome(list.create({ title: "d" })).is, "waits");
  await assert.rejects(list.create({ title: "d" }), { code: "closed" });
  await assert.rejects(s.live.list("other").ready, { code: "closed" });
  assert.deepEqual([list.status.state, shown.at(-1), s.live.status.current.connected], ["closed", "a b", false]);
  assert.equal(s.clock.pending, 0);
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
