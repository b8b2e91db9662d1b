// Rows with what they relate to: which lists are kept for that, and that nothing flickers while they come and go.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import { keyOf } from "../src/rows.ts";
import type { List, TransportName } from "../src/types.ts";
import type { ClientMessage, WireChange, WireRelation, WireRow } from "../src/wire.ts";
import { Clock, settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { Server } from "./server.ts";

type Subscribe = Extract<ClientMessage, { type: "subscribe" }>;
interface User { id: number; name: string }
interface Line { id: number; order_id: number; text: string }
interface Order { id: number; owner_id: number | null; n?: number; owner?: User | null; lines?: Line[]; tags?: { id: number }[]; watchers?: User[] }

const owner: WireRelation = { router: "users", key: "owner_id", by: "id" };
const lines: WireRelation = { router: "lines", field: "order_id" };
const tags: WireRelation = { router: "tags", through: "product_tags", field: "product_id", key: "tag_id", by: "id" };

const row = (fields: { id: number }, version = 1): WireRow => ({ key: String(fields.id), version, fields: { ...fields } });
const user = (id: number, name = "u" + id) => row({ id, name } as User);
const line = (id: number, order_id: number, version = 1) => row({ id, order_id, text: "l" + id } as Line, version);

class Scene extends Script {
  list: List<Order>;
  shown: string[] = [];
  off: () => void;
  private answered = new Set<number>();

  constructor(include: string[], options = {}) {
    super();
    this.list = this.live.list<Order>("orders", { include, order: "id", ...options });
    this.off = this.list.subscribe(() => this.shown.push(this.text()));
  }

  /** Each row as its key, its owner's name and its lines' keys. */
  text(): string {
    return this.list.rows.map(r => {
      const key = this.list.key(r)!;
      return [
        key.startsWith("~") ? "new" : key, this.list.pending(r) ? "?" : "",
        "owner" in r ? (r.owner === undefined ? " -" : r.owner === null ? " nobody" : " " + r.owner.name) : "",
        "lines" in r ? (r.lines ? ` (${r.lines.map(l => l.id)})` : " -") : "",
        "tags" in r ? (r.tags ? ` [${r.tags.map(l => l.id)}]` : " -") : "",
      ].join("");
    }).join(", ");
  }

  async begin(relations: Record<string, WireRelation>, ...rows: Order[]): Promise<void> {
    await this.hello();
    await this.say({ type: "snapshot", id: 1, query: "q", cursor: "e.10", order: "id", relations, rows: rows.map(r => row(r)) });
  }

  /** The subscriptions to a router that live, by the values that they ask for. */
  asked(router: string): { id: number; values: unknown[] }[] {
    const gone = new Set(this.sent.filter(m => m.type === "unsubscribe").map(m => m.id));
    return this.sent.filter((m): m is Subscribe => m.type === "subscribe" && m.router === router && !gone.has(m.id))
      .map(m => ({ id: m.id, values: Object.values(m.where as Record<string, { in: unknown[] }>)[0]!.in }));
  }

  values(router: string): string {
    return this.asked(router).map(a => a.values.join(" ")).join(" | ");
  }

  /** Answers what was asked for of a router and not answered yet. */
  async answer(router: string, cursor: string, rows: WireRow[], more = {}): Promise<void> {
    for (const { id, values } of this.asked(router)) {
      if (this.answered.has(id)) continue;
      this.answered.add(id);
      const field = Object.keys(this.sent.find((m): m is Subscribe => m.type === "subscribe" && m.id === id)!.where!)[0]!;
      await this.say({ type: "snapshot", id, query: "r" + id, cursor, rows: rows.filter(r => values.includes(r.fields[field])), ...more });
    }
  }

  /** A change of the list's own rows, or by the place of the other list of a router. */
  at(cursor: string, ...changes: WireChange[]): Promise<void> {
    return this.say({ type: "change", query: "q", cursor, changes });
  }

  of(router: string, place: number, cursor: string, ...changes: WireChange[]): Promise<void> {
    return this.say({ type: "change", query: "r" + this.asked(router)[place]!.id, cursor, changes });
  }
}

test("rows are shown when what they relate to is known, and the list is loading until then", async () => {
  const s = new Scene(["owner"]);
  const ready = outcome(s.list.ready);
  await s.begin({ owner }, { id: 1, owner_id: 7 }, { id: 2, owner_id: null }, { id: 3, owner_id: 5 }, { id: 4, owner_id: 7 }, { id: 5, owner_id: 6 });
  assert.deepEqual(s.sent[0], { type: "subscribe", id: 1, router: "orders", order: "id", include: ["owner"] });
  assert.deepEqual(s.last("subscribe"), { type: "subscribe", id: 2, router: "users", where: { id: { in: [5, 6, 7] } } });
  assert.deepEqual([s.shown, s.list.status.state, ready.is, s.list.rows], [[""], "loading", "waits", []]);
  await s.answer("users", "e.11", [user(7), user(5)]);
  assert.deepEqual(s.shown, ["", "1 u7, 2 nobody, 3 u5, 4 u7, 5 nobody"]);
  assert.deepEqual([s.list.status.state, ready.is], ["live", s.list.rows]);
  const [first] = s.list.rows;
  assert.ok(Object.isFrozen(first) && keyOf(first!) === "1" && keyOf(first!.owner!) === "7");
  assert.equal(first!.owner, s.list.rows[3]!.owner, "one owner is one object");
});

test("what rows relate to is live, and nothing else changes with it", async () => {
  const s = new Scene(["owner"]);
  await s.begin({ owner }, { id: 1, owner_id: 7 }, { id: 2, owner_id: 5 }, { id: 3, owner_id: 7 });
  await s.answer("users", "e.11", [user(7), user(5)]);
  const before = [...s.list.rows];
  s.shown.length = 0;
  await s.of("users", 0, "e.12", { op: "update", key: "7", version: 2, fields: { name: "U7" } });
  assert.deepEqual(s.shown, ["1 U7, 2 u5, 3 U7"]);
  assert.deepEqual(s.list.rows.map((r, i) => r === before[i]), [false, true, false]);
  const after = [...s.list.rows];
  await s.at("e.13", { op: "update", key: "2", version: 2, fields: { n: 1 } });
  assert.deepEqual(s.list.rows.map((r, i) => r === after[i]), [true, false, true]);
  await s.of("users", 0, "e.14", { op: "delete", key: "5", version: 2 });
  assert.deepEqual(s.shown, ["1 U7, 2 u5, 3 U7", "1 U7, 2 u5, 3 U7", "1 U7, 2 nobody, 3 U7"]);
});

test("a new row, or one that relates to another, is shown when that is known; until then what was there", async () => {
  const s = new Scene(["owner"]);
  await s.begin({ owner }, { id: 1, owner_id: 7 });
  await s.answer("users", "e.11", [user(7)]);
  await s.at("e.12", { op: "create", ...row({ id: 2, owner_id: 8 } as Order) });
  await s.at("e.13", { op: "update", key: "1", version: 2, fields: { owner_id: 9 } });
  assert.equal(s.text(), "1 u7");
  await s.answer("users", "e.14", [user(8), user(9)]);
  assert.deepEqual(s.shown, ["", "1 u7", "1 u7, 2 u8", "1 u9, 2 u8"]);
  await s.at("e.15", { op: "create", ...row({ id: 3, owner_id: 9 } as Order) });
  assert.equal(s.text(), "1 u9, 2 u8, 3 u9", "one who is known is not asked for");
});

test("nobody waits for longer than a second, nor for what is refused", async () => {
  const s = new Scene(["owner"]);
  await s.begin({ owner }, { id: 1, owner_id: 7 });
  await s.clock.advance(900);
  assert.deepEqual(s.shown, [""]);
  await s.clock.advance(200);
  assert.deepEqual([s.shown, s.list.status.state], [["", "1 -"], "live"]);
  await s.answer("users", "e.11", [user(7)]);
  assert.deepEqual(s.shown, ["", "1 -", "1 u7"]);
  const other = new Scene(["owner"]);
  await other.begin({ owner }, { id: 1, owner_id: 7 });
  await other.say({ type: "error", id: 2, problem: { status: 403, code: "forbidden" } });
  assert.deepEqual([other.shown, other.list.status.state], [["", "1 -"], "live"]);
  // Who waits for more rows does not wait for what never comes.
  assert.equal(await other.list.more(), undefined);
});

test("the rows that name a row, by key; and none where there are none", async () => {
  const s = new Scene(["lines"]);
  await s.begin({ lines }, { id: 1, owner_id: null }, { id: 2, owner_id: null });
  assert.deepEqual(s.last("subscribe").where, { order_id: { in: [1, 2] } });
  await s.answer("lines", "e.11", [line(10, 1), line(9, 1)]);
  assert.equal(s.text(), "1 (9,10), 2 ()");
  const [one, two] = s.list.rows;
  await s.of("lines", 0, "e.12", { op: "create", ...line(11, 2) });
  assert.deepEqual([s.text(), s.list.rows[0] === one, s.list.rows[1] === two], ["1 (9,10), 2 (11)", true, false]);
  assert.ok(Object.isFrozen(s.list.rows[1]!.lines));
  await s.of("lines", 0, "e.13", { op: "update", key: "9", version: 2, fields: { order_id: 2 } });
  assert.deepEqual(s.shown.slice(2), ["1 (9,10), 2 (11)", "1 (10), 2 (9,11)"], "it leaves one and enters the other at once");
});

/** Two orders, whose lines are in two lists. */
async function apart(): Promise<Scene> {
  const s = new Scene(["lines"]);
  await s.begin({ lines }, { id: 1, owner_id: null });
  await s.answer("lines", "e.11", [line(9, 1), line(10, 1)]);
  await s.at("e.12", { op: "create", ...row({ id: 2, owner_id: null } as Order) });
  await s.answer("lines", "e.12", []);
  s.shown.length = 0;
  return s;
}

test("what moves from one list to another is in one of them at any time", async () => {
  const s = await apart();
  assert.equal(s.values("lines"), "1 | 2");
  await s.of("lines", 0, "e.13", { op: "leave", key: "9", version: 2 });
  await s.of("lines", 1, "e.13", { op: "enter", ...line(9, 2, 2) });
  // The other way round.
  await s.of("lines", 0, "e.14", { op: "enter", ...line(9, 1, 3) });
  assert.equal(s.text(), "1 (9,10), 2 ()", "the newer one counts");
  await s.of("lines", 1, "e.14", { op: "leave", key: "9", version: 3 });
  assert.deepEqual(s.shown, ["1 (10), 2 (9)", "1 (9,10), 2 ()"]);
  await s.clock.advance(1000);
  assert.equal(s.text(), "1 (9,10), 2 ()");
});

test("what left and entered nowhere is gone after a moment, what was deleted at once", async () => {
  const s = await apart();
  await s.of("lines", 0, "e.13", { op: "leave", key: "9", version: 2 });
  assert.equal(s.text(), "1 (9,10), 2 ()");
  await s.clock.advance(150);
  assert.equal(s.text(), "1 (10), 2 ()");
  await s.of("lines", 0, "e.14", { op: "delete", key: "10", version: 2 });
  assert.equal(s.text(), "1 (), 2 ()");
});

test("rows through others: those between, and then those that they name", async () => {
  const s = new Scene(["tags"]);
  await s.begin({ tags }, { id: 1, owner_id: null }, { id: 2, owner_id: null });
  assert.deepEqual([s.values("product_tags"), s.values("tags"), s.last("subscribe").where], ["1 2", "", { product_id: { in: [1, 2] } }]);
  const link = (id: number, product_id: number, tag_id: number) => row({ id, product_id, tag_id } as { id: number });
  await s.answer("product_tags", "e.11", [link(1, 1, 30), link(2, 1, 4), link(3, 2, 4)]);
  assert.deepEqual([s.values("tags"), s.shown], ["4 30", [""]]);
  await s.answer("tags", "e.12", [row({ id: 4 }), row({ id: 30 })]);
  assert.deepEqual(s.shown, ["", "1 [4,30], 2 [4]"]);
  await s.of("product_tags", 0, "e.13", { op: "delete", key: "2", version: 2 }, { op: "create", ...link(4, 2, 30) });
  assert.equal(s.text(), "1 [30], 2 [4,30]");
  await s.of("product_tags", 0, "e.14", { op: "create", ...link(5, 1, 5) });
  assert.equal(s.text(), "1 [30], 2 [4,30]", "not before the tag is known");
  await s.answer("tags", "e.15", [row({ id: 5 })]);
  assert.equal(s.text(), "1 [5,30], 2 [4,30]");
});

test("a field that holds several keys relates to several rows, in its order", async () => {
  const s = new Scene(["watchers"]);
  const watchers = { router: "users", key: "watcher_ids", by: "id" };
  await s.begin({ watchers }, { id: 1, owner_id: null, watcher_ids: [8, 7, 9] } as Order, { id: 2, owner_id: null, watcher_ids: [] } as Order);
  assert.equal(s.values("users"), "7 8 9");
  await s.answer("users", "e.11", [user(7), user(8)]);
  assert.deepEqual(s.list.rows.map(r => r.watchers!.map(w => w.name)), [["u8", "u7"], []]);
});

test("the key of a row is the field at the end of the order; where it has no such field, its text", async () => {
  const s = new Scene(["lines"], { order: undefined });
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.1", order: "-no", relations: { lines }, rows: [{ key: "7", version: 1, fields: { like: 7, no: 70 } }, { key: "8", version: 1, fields: { like: 8 } }] });
  assert.deepEqual(s.last("subscribe").where, { order_id: { in: ["8", 70] } });
});

test("a hundred values a list; known lists stay, new values get a new one, what nobody needs goes", async () => {
  const s = new Scene(["owner"]);
  const all = Array.from({ length: 250 }, (_, i) => i + 1);
  await s.begin({ owner }, ...all.map(id => ({ id, owner_id: 1000 - id })));
  assert.deepEqual(s.asked("users").map(a => [a.values.length, a.values[0], a.values.at(-1)]), [[100, 750, 849], [100, 850, 949], [50, 950, 999]]);
  await s.answer("users", "e.11", all.map(id => user(1000 - id)));
  assert.equal(s.list.rows.filter(r => r.owner?.id === 1000 - r.id).length, 250);
  await s.at("e.12", { op: "create", ...row({ id: 300, owner_id: 999 } as Order) }, { op: "create", ...row({ id: 301, owner_id: 7 } as Order) });
  assert.deepEqual(s.asked("users").slice(3).map(a => a.values), [[7]]);
  await s.answer("users", "e.13", [user(7)]);
  // The owners 950 to 999 are those of the rows 1 to 50, and 300.
  await s.at("e.14", ...all.slice(0, 50).map((id): WireChange => ({ op: "delete", key: String(id), version: 2 })));
  await s.clock.advance(1000);
  assert.deepEqual(s.asked("users").map(a => a.values.length), [100, 100, 50, 1], "one of them is needed");
  await s.at("e.15", { op: "delete", key: "300", version: 2 });
  await s.clock.advance(1000);
  assert.deepEqual(s.asked("users").map(a => a.values.length), [100, 100, 1]);
});

test("many small lists become one, and nothing is missing meanwhile", async () => {
  const s = new Scene(["owner"]);
  await s.begin({ owner }, { id: 1, owner_id: 101 });
  await s.answer("users", "e.11", [user(101)]);
  for (let id = 2; id <= 9; id++) {
    await s.at("e.2" + id, { op: "create", ...row({ id, owner_id: 100 + id } as Order) });
    await s.answer("users", "e.2" + id, [user(100 + id)]);
  }
  await s.at("e.30", { op: "delete", key: "9", version: 2 }, { op: "create", ...row({ id: 9, owner_id: 108 } as Order) });
  await s.clock.advance(1000);
  await s.at("e.31", { op: "create", ...row({ id: 10, owner_id: 110 } as Order) });
  await s.answer("users", "e.31", [user(110)]);
  assert.equal(s.asked("users").length, 9);
  await s.at("e.32", { op: "create", ...row({ id: 11, owner_id: 111 } as Order) });
  assert.equal(s.asked("users").length, 10);
  assert.equal(s.asked("users")[9]!.values.join(" "), "101 102 103 104 105 106 107 108 110 111");
  await s.of("users", 0, "e.33", { op: "update", key: "101", version: 2, fields: { name: "U101" } });
  const names = s.text(), shown = [...s.list.rows];
  assert.match(names, /1 U101, /, "those that are replaced go on until then");
  await s.answer("users", "e.34", [user(101, "U101"), ...[2, 3, 4, 5, 6, 7, 8, 10, 11].map(n => user(100 + n))]);
  await s.clock.advance(1000);
  assert.deepEqual([s.asked("users").length, s.text()], [1, names + ", 11 u111"]);
  assert.ok(shown.every((row, i) => row === s.list.rows[i]), "what came again is the same");
});

test("a list of more rows than the router gives at once is cut in two, until each is of one value", async () => {
  const s = new Scene(["lines"]);
  await s.begin({ lines }, { id: 1, owner_id: null }, { id: 2, owner_id: null }, { id: 3, owner_id: null });
  await s.answer("lines", "e.11", [line(9, 1)], { order: "id", limit: 1, more: true });
  assert.equal(s.values("lines"), "1 2 3 | 1 2 | 3");
  await s.answer("lines", "e.12", [line(9, 1), line(10, 2)], { order: "id", limit: 1, more: true });
  await s.answer("lines", "e.12", [line(9, 1), line(10, 2)]);
  await s.clock.advance(1000);
  assert.deepEqual([s.values("lines"), s.text()], ["3 | 1 | 2", "1 (9), 2 (10), 3 ()"]);
});

test("lists that were cut are not put together again", async () => {
  const s = new Scene(["lines"]);
  const all = Array.from({ length: 10 }, (_, i) => i + 1);
  await s.begin({ lines }, ...all.map(id => ({ id, owner_id: null })));
  for (let i = 0; i < 5; i++) await s.answer("lines", "e.11", all.map(id => line(100 + id, id)), { order: "id", limit: 1, more: true });
  await s.clock.advance(1000);
  assert.equal(s.asked("lines").map(a => a.values.join(" ")).sort((a, b) => Number(a) - Number(b)).join("|"), "1|2|3|4|5|6|7|8|9|10");
  await s.at("e.12", { op: "create", ...row({ id: 11, owner_id: null } as Order) });
  assert.deepEqual(s.asked("lines").map(a => a.values.length), Array(11).fill(1));
});

test("what rows relate to is released with their list, and comes back with it", async () => {
  const s = new Scene(["owner"]);
  await s.begin({ owner }, { id: 1, owner_id: 7 });
  await s.answer("users", "e.11", [user(7)]);
  s.off();
  await s.clock.advance(1000);
  assert.equal(s.values("users"), "");
  assert.equal(s.text(), "1 u7", "it is still known");
  const shown: string[] = [];
  const off = s.list.subscribe(() => shown.push(s.text()));
  await settle(2);
  assert.deepEqual(shown, ["1 u7"]);
  await s.say({ type: "resumed", id: s.sent.filter(m => m.type === "subscribe" && m.router === "orders").pop()!.id, query: "q", cursor: "e.10" });
  assert.deepEqual([s.values("users"), s.last("subscribe").cursor, shown], ["7", "e.11", ["1 u7"]]);
  off();
  await s.clock.advance(200_000);
  assert.deepEqual([s.list.rows, s.values("users"), s.clock.pending <= 1], [[], "", true]);
});

test("a resync does not take the rows from the screen while what is new to them is asked for", async () => {
  const s = new Scene(["owner"]);
  await s.begin({ owner }, { id: 1, owner_id: 7 });
  await s.answer("users", "e.11", [user(7)]);
  await s.say({ type: "resync", id: 1, query: "q", cursor: "f.1", reason: "epoch", order: "id", relations: { owner }, rows: [row({ id: 1, owner_id: 7 } as Order), row({ id: 2, owner_id: 8 } as Order)] });
  await s.answer("users", "f.2", [user(8)]);
  assert.deepEqual(s.shown, ["", "1 u7", "1 u7", "1 u7, 2 u8"]);
});

test("own writes are shown at once, with what is known, and stay until the rows are known whole", async () => {
  const s = new Scene(["owner", "lines"]);
  await s.begin({ owner, lines }, { id: 1, owner_id: 7 });
  await s.answer("users", "e.11", [user(7)]);
  await s.answer("lines", "e.11", []);
  s.shown.length = 0;
  const p = outcome(s.list.create({ owner_id: 7 }));
  await settle(2);
  const { id, mutation } = s.last("call");
  await s.at("e.12", { op: "create", ...row({ id: 2, owner_id: 7 } as Order), mutation: mutation! });
  await s.say({ type: "result", id, cursor: "e.12", row: row({ id: 2, owner_id: 7 } as Order) });
  assert.deepEqual([p.is, s.values("lines")], [{ id: 2, owner_id: 7 }, "1 | 2"]);
  await s.answer("lines", "e.13", []);
  assert.deepEqual(s.shown, ["1 u7 (), new? u7 ()", "1 u7 (), 2 u7 ()"]);
  void s.list.update(1, { owner_id: 8 });
  await settle(2);
  assert.equal(s.text(), "1? - (), 2 u7 ()", "who is not known yet is undefined");
});

test("more waits for what the rows relate to", async () => {
  const s = new Scene(["owner"], { limit: 1 });
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.10", order: "id", more: true, relations: { owner }, rows: [row({ id: 1, owner_id: 7 } as Order)] });
  await s.answer("users", "e.11", [user(7)]);
  const more = outcome(s.list.more());
  await settle(2);
  await s.say({ type: "resumed", id: 3, query: "q", cursor: "e.10" }, { type: "change", query: "q", cursor: "e.10", more: false, changes: [{ op: "enter", ...row({ id: 2, owner_id: 8 } as Order) }] });
  assert.deepEqual([more.is, s.text()], ["waits", "1 u7"]);
  await s.answer("users", "e.11", [user(8)]);
  assert.deepEqual([more.is, s.text()], [undefined, "1 u7, 2 u8"]);
});

test("fetch brings what the rows relate to, and leaves nothing behind", async () => {
  const s = new Script();
  const p = outcome(s.live.list<Order>("orders", { include: ["owner"] }).fetch());
  await s.hello();
  assert.deepEqual(s.last("call").include, ["owner"]);
  await s.say({ type: "result", id: 1, rows: [row({ id: 1, owner_id: 7 } as Order)], relations: { owner } });
  const { id, where } = s.last("subscribe");
  assert.deepEqual([p.is, where], ["waits", { id: { in: [7] } }]);
  await s.say({ type: "snapshot", id, query: "r", cursor: "e.1", rows: [user(7)] });
  assert.deepEqual(p.is, [{ id: 1, owner_id: 7, owner: { id: 7, name: "u7" } }]);
  await s.clock.advance(1000);
  assert.equal(s.last("unsubscribe").id, id);
});

test("who only hears changes has the rows put together, too", async () => {
  const s = new Script();
  const list = s.live.list<Order>("orders", { include: ["owner"] });
  list.on("change", () => {});
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.10", relations: { owner }, rows: [row({ id: 1, owner_id: null } as Order)] });
  assert.deepEqual([list.status.state, list.rows], ["live", [{ id: 1, owner_id: null, owner: null }]]);
});

test("close ends what was asked for, too", async () => {
  const s = await apart();
  await s.at("e.13", { op: "create", ...row({ id: 3, owner_id: null } as Order) });
  await s.of("lines", 0, "e.14", { op: "leave", key: "9", version: 2 });
  s.live.close();
  await settle(2);
  assert.equal(s.clock.pending, 0);
});

const transports: TransportName[] = ["websocket", "sse", "longpoll", "shortpoll"];

async function run(seed: number): Promise<void> {
  const clock = new Clock(seed), server = new Server();
  const chance = (n: number) => Math.floor(clock.random() * n);
  server.relations = { owner, lines };
  const someOrder = () => server.write(String(chance(8)), { owner_id: chance(5) ? 1 + chance(6) : null, done: chance(3) === 0 });
  const someLine = () => server.write(String(20 + chance(10)), { order_id: chance(8), n: chance(9) }, undefined, "lines");
  for (let i = 0; i < 8; i++) someOrder(), someLine();
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, env: clock.env, transport: transports[seed % 4]!, pollInterval: 500 });
  const list = live.list<Order>("todos", { where: { done: false }, order: "id", include: ["owner", "lines"] });
  const wrong: string[] = []; // what a listener throws is reported and harms nobody
  list.subscribe(rows => {
    for (const r of rows) {
      if (r.owner && r.owner.id !== r.owner_id) wrong.push(`order ${r.id} has another's owner`);
      if (!r.lines!.every(l => l.order_id === r.id)) wrong.push(`order ${r.id} has another's lines`);
    }
    const all = rows.flatMap(r => r.lines!.map(l => l.id));
    if (new Set(all).size !== all.length) wrong.push(`a line is in two places: ${all}`);
  });
  for (let step = 0; step < 100; step++) {
    switch (chance(8)) {
      case 0: case 1: someOrder(); break;
      case 2: case 3: someLine(); break;
      case 4: server.write(String(1 + chance(6)), { name: "n" + step }, undefined, "users"); break;
      case 5: {
        const router = ["lines", "users", "todos"][chance(3)]!, key = [...server.table(router).keys()][chance(6)];
        if (key) server.write(key, undefined, undefined, router);
        break;
      }
      case 6: if (chance(3) === 0) server.break(); break;
      case 7: if (chance(9) === 0) server.trim(); break;
    }
    if (chance(3) === 0) await clock.advance(chance(3000));
    else await settle(chance(3));
  }
  await clock.advance(60_000);
  assert.deepEqual(wrong, []);
  const of = (router: string) => [...server.table(router).values()].map(r => r.fields).sort((a, b) => Number(a["id"]) - Number(b["id"]));
  assert.deepEqual(list.rows, of("todos").filter(r => r["done"] === false).map(r => ({
    ...r, owner: of("users").find(u => u["id"] === r["owner_id"]) ?? null, lines: of("lines").filter(l => l["order_id"] === r["id"]),
  })));
  live.close();
  await settle();
  assert.equal(clock.pending, 0);
}

for (let seed = Number(process.env["SEED"] ?? 1); seed <= Number(process.env["SEEDS"] ?? 40); seed++) test(`related, seed ${seed}`, () => run(seed));
