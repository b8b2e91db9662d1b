import assert from "node:assert/strict";
import { test } from "node:test";
import { after, older } from "../src/cursor.ts";
import { memory, uuid7 } from "../src/env.ts";
import { comparator, compareText, compareValues } from "../src/order.ts";
import { EventParser } from "../src/sse.ts";
import { parse } from "../src/wire.ts";

test("cursors are ordered within an epoch only", () => {
  assert.equal(after("e.2", "e.1"), true);
  assert.equal(after("e.1", "e.1"), false);
  assert.equal(after("e.1", "e.2"), false);
  assert.equal(after("e.2.5", "e.2"), true);
  assert.equal(after("f.2", "e.1"), false);
  assert.equal(after("e.1", "f.2"), false);
  assert.equal(after("e.1", undefined), true);
});

test("versions are compared as numbers or as cursors of one epoch, and else not at all", () => {
  assert.equal(older(9, 10), true);
  assert.equal(older(10, 10), false);
  assert.equal(older(11, 10), false);
  assert.equal(older("e.1", "e.2"), true);
  assert.equal(older("e.2", "e.2"), false);
  assert.equal(older("d.1", "e.2"), false);
  assert.equal(older(1, "e.2"), false);
  assert.equal(older("e.1", 2), false);
  assert.equal(older(undefined, 2), false);
  assert.equal(older("e.1", undefined), false);
});

test("text is ordered by code points", () => {
  // U+FF5E is one UTF-16 unit above the surrogates of U+1F600, and a smaller code point.
  const words = ["", "a", "aa", "b", "é", "\u{d7ff}", "\u{e000}", "\u{ff5e}", "\u{10000}", "\u{1f600}", "\u{1f600}a", "\u{1f601}", "\u{10ffff}"];
  const bytes = (s: string) => Buffer.from(s, "utf8");
  for (const a of words) {
    for (const b of words) assert.equal(Math.sign(compareText(a, b)), Buffer.compare(bytes(a), bytes(b)), `${a} ${b}`);
  }
});

test("values are ordered as the server orders them", () => {
  const ordered: unknown[][] = [
    [null, false, true],
    [null, -1, 0, 2, 10],
    [null, "", "10", "9", "a"],
    // Times without their fraction's last zeros, and in two zones.
    ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.12Z", "2024-01-01T00:00:00.123Z", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:01Z"],
    ["2024-01-01T02:00:00+02:00", "2024-01-01T00:30:00Z", "2024-01-01T02:45:00+02:00"],
  ];
  for (const values of ordered) {
    for (let i = 0; i < values.length; i++) {
      for (let j = 0; j < values.length; j++) assert.equal(Math.sign(compareValues(values[i], values[j])), Math.sign(i - j), `${values[i]} ${values[j]}`);
    }
  }
});

test("rows are ordered by fields, then by key as text; nulls first ascending, last descending", () => {
  const row = (key: string, fields: Record<string, unknown>) => ({ key, fields });
  const rows = [row("10", { a: 1, b: "x" }), row("9", { a: 1, b: "x" }), row("1", { a: null, b: "y" }), row("2", { a: 2, b: "a" }), row("~new", { b: "x" })];
  const keys = (order: string) => [...rows].sort(comparator(order)).map(r => r.key);
  assert.deepEqual(keys("a"), ["1", "10", "9", "2", "~new"]);
  assert.deepEqual(keys("-a"), ["~new", "2", "10", "9", "1"]);
  assert.deepEqual(keys("b,-a"), ["2", "~new", "10", "9", "1"]);
});

test("an event stream is understood wherever it is cut", () => {
  const text = 'data: {"a":1}\n\nevent: x\r\nid: e.1\r\ndata: {"b":\r\ndata: 2}\r\n\r\n: comment\n\ndata:c\rdata: d\r\rretry: 5\n\ndata: é😀\n\nevent: empty\n\ndata: last\n\n';
  const want = ['{"a":1}', '{"b":\n2}', "c\nd", "é😀", "last"];
  for (let i = 0; i <= text.length; i++) {
    for (let j = i; j <= text.length; j += 7) {
      const p = new EventParser();
      assert.deepEqual([text.slice(0, i), text.slice(i, j), text.slice(j)].flatMap(t => p._push(t)), want, `${i} ${j}`);
    }
  }
  const p = new EventParser();
  assert.deepEqual([...text].flatMap(c => p._push(c)), want);
  assert.deepEqual(new EventParser()._push("data: unfinished\n"), []);
});

test("an event that comes in many pieces is looked through once", t => {
  let looked = 0;
  const split = String.prototype.split;
  t.mock.method(String.prototype, "split", function (this: string, ...a: Parameters<typeof split>) {
    looked += this.length;
    return split.apply(this, a);
  });
  const p = new EventParser(), long = "x".repeat(100_000);
  const out = `data: ${long}\r\n\r\n`.match(/[^]{1,100}/g)!.flatMap(piece => p._push(piece));
  t.mock.restoreAll();
  assert.deepEqual(out, [long]);
  assert.ok(looked < 101_000, `${looked} characters`);
});

test("messages: blank and broken lines are skipped", () => {
  assert.deepEqual(parse('{"type":"pong","id":1}\n\nnonsense\r\n{"type":"pong","id":2}\r\n'), [{ type: "pong", id: 1 }, { type: "pong", id: 2 }]);
});

test("a mutation is a UUID of version 7", () => {
  const id = uuid7(0x01890a5dac96, Math.random);
  assert.match(id, /^01890a5d-ac96-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(uuid7(0x01890a5dac96, () => 0.9999999999), /^01890a5d-ac96-7fff-bfff-[0-9a-f]{12}$/);
  assert.match(uuid7(0, () => 0), /^00000000-0000-7000-8000-000000000000$/);
});

test("a storage that throws is none", () => {
  const bad = memory({
    getItem() {
      throw new Error("denied");
    },
    setItem() {
      throw new Error("full");
    },
  });
  assert.equal(bad.getItem("a"), null);
  bad.setItem("a", "b");
  assert.equal(memory(null).getItem("a"), null);
});
