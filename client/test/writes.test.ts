// Optimistic writes: shown at once, folded into what the server says, rolled back when it refuses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { refuse, result, scene, type Todo } from "./todos.ts";

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

// ---- results whose change is not on the log yet

test("create, update, delete: shown from the result that is unsent until the change comes", async () => {
  const { s, list, shown } = await scene();
  const made = outcome(list.create({ title: "c" }));
  await settle(2);
  const create = s.last("call").mutation;
  await result(s, { row: { key: "3", version: 1, fields: { id: 3, title: "c" } }, unsent: true });
  assert.deepEqual(made.is, { id: 3, title: "c" });
  const changed = outcome(list.update(1, { title: "A" }));
  await settle(2);
  const update = s.last("call").mutation;
  await result(s, { row: { key: "1", version: 2, fields: { id: 1, title: "A", n: 1 } }, unsent: true });
  assert.deepEqual(changed.is, { id: 1, title: "A", n: 1 });
  const gone = outcome(list.delete(2));
  await settle(2);
  const remove = s.last("call").mutation;
  await result(s, { unsent: true });
  assert.equal(gone.is, undefined);
  await s.say({ type: "cursor", cursor: "e.11" });
  const { length } = shown;
  assert.equal(shown.at(-1), "A c");
  await s.change("e.12", "create", "3", 1, { id: 3, title: "c" }, create);
  await s.change("e.13", "update", "1", 2, { title: "A" }, update);
  await s.change("e.14", "delete", "2", 2, undefined, remove);
  assert.deepEqual(new Set(shown.slice(length)).size, shown.length > length ? 1 : 0, "nothing looks different");
  // The guesses are gone: what comes now shows.
  await s.change("e.15", "delete", "3", 2);
  await s.change("e.16", "update", "1", 3, { title: "B" });
  await s.change("e.17", "create", "2", 3, { id: 2, title: "b" });
  assert.equal(shown.at(-1), "B b");
});

test("an unsent result is not shown for ever, but while the broker is away, and not after new rows", async () => {
  const { s, list, shown } = await scene();
  const create = async () => {
    void list.create({ title: "c" });
    await settle(2);
    await result(s, { row: { key: "3", version: 1, fields: { id: 3, title: "c" } }, unsent: true });
    assert.equal(shown.at(-1), "a b c");
  };
  await s.say({ type: "status", degraded: true });
  await create();
  await s.clock.advance(16_000);
  await s.say({ type: "cursor", cursor: "e.10" });
  await s.clock.advance(10_000);
  assert.equal(shown.at(-1), "a b c");
  await s.say({ type: "status", degraded: false });
  await s.clock.advance(14_000);
  assert.equal(shown.at(-1), "a b", "it belongs to another list");
  await create();
  await s.again();
  await s.snapshot("e.20", ["1", 1, { id: 1, title: "a" }], ["2", 1, { id: 2, title: "b" }]);
  assert.equal(shown.at(-1), "a b");
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
