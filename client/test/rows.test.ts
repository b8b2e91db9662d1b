// The rows of a list: what a change does to them, and that it costs the same however many there are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { comparator } from "../src/order.ts";
import { Rows, fromWire, keyOf, makeRow, type Row } from "../src/rows.ts";
import type { WireChange } from "../src/wire.ts";
import { Clock } from "./clock.ts";

test("rows: what each change does, and what it does not", () => {
  const rows = new Rows([{ key: "1", version: 5, fields: { a: 1, b: 1 } }, { key: "2", version: 5, fields: { a: 2 } }].map(fromWire));
  const state = () => [...rows._all.values()].map(r => [r.key, r.version, r.fields]);
  const apply = (op: string, key: string, version: number, fields?: object) => rows._apply({ op, key, version, fields } as WireChange);
  const two = rows._all.get("2")!.fields;

  assert.equal(apply("update", "1", 4, { a: 0 }), false, "older");
  assert.equal(apply("leave", "1", 4), false, "older");
  assert.equal(apply("create", "1", 4, { a: 0 }), false, "older");
  assert.equal(apply("update", "3", 9, { a: 0 }), false, "not held");
  assert.equal(apply("leave", "3", 9), false, "not held");
  assert.equal(apply("delete", "3", 9), false, "not held");
  assert.equal(apply("rename", "1", 9), false, "unknown");
  assert.deepEqual(state(), [["1", 5, { a: 1, b: 1 }], ["2", 5, { a: 2 }]]);

  assert.equal(apply("update", "1", 5, { b: 2 }), true, "equal version");
  assert.equal(apply("update", "1", 6, { a: 3 }), true);
  assert.deepEqual(state(), [["1", 6, { a: 3, b: 2 }], ["2", 5, { a: 2 }]]);
  assert.equal(apply("enter", "1", 7, { a: 4 }), true, "replaces, in its place");
  assert.equal(apply("create", "3", 1, { a: 9 }), true);
  assert.deepEqual(state(), [["1", 7, { a: 4 }], ["2", 5, { a: 2 }], ["3", 1, { a: 9 }]]);
  assert.equal(rows._all.get("2")!.fields, two, "an unchanged row stays the same object");
  assert.ok(Object.isFrozen(two));
  assert.equal(keyOf(two), "2");
  assert.equal(apply("delete", "2", 6), true);
  assert.equal(apply("leave", "3", 2), true);
  assert.deepEqual(state(), [["1", 7, { a: 4 }]]);
});

const keys = (rows: Row[]) => rows.map(r => r.key).join(" ");

for (const seed of [1, 2, 3, 4, 5]) test(`rows stay in order, seed ${seed}`, () => {
  const chance = new Clock(seed), any = (n: number) => Math.floor(chance.random() * n);
  const values = [null, undefined, 1, 2, 3, 7];
  const compare = comparator("-a,b");
  const fields = () => ({ a: values[any(6)], b: "xyz"[any(3)] });
  const rows = new Rows(Array.from({ length: 20 }, (_, i) => makeRow(String(i), 1, fields())), compare);
  for (let i = 0; i < 2000; i++) {
    const op = ["create", "enter", "update", "update", "leave", "delete"][any(6)] as WireChange["op"];
    rows._apply({ op, key: String(any(40)), version: i + 2, fields: fields() });
    const want = [...rows._all.values()].sort(compare);
    assert.equal(keys(rows._first()), keys(want), `change ${i}`);
    assert.equal(keys(rows._first(7)), keys(want.slice(0, 7)));
  }
});

test("without an order rows stay where they were, and new ones come last", () => {
  const rows = new Rows(["c", "a", "b"].map(key => makeRow(key, 1, { key })));
  rows._apply({ op: "enter", key: "d", version: 1, fields: {} });
  rows._apply({ op: "update", key: "a", version: 2, fields: { n: 1 } });
  rows._apply({ op: "leave", key: "b", version: 2 });
  assert.equal(keys(rows._first()), "c a d");
});

test("a change among 10,000 rows is as few comparisons as halving them takes", () => {
  let times = 0;
  const byN = comparator("n");
  const rows = new Rows(Array.from({ length: 10_000 }, (_, i) => makeRow(String(i), 1, { n: i })), (a, b) => (times++, byN(a, b)));
  times = 0;
  for (let i = 0; i < 1000; i++) rows._apply({ op: "update", key: String((i * 7919) % 10_000), version: 2, fields: { n: (i * 104_729) % 10_000 } });
  assert.ok(times <= 14_000, `${times} comparisons for 1,000 changes`);
  rows._first(100);
  assert.ok(times <= 14_000);
});

test("an order that contradicts itself loses no row and keeps none", () => {
  // Texts that look like times are compared as such, those between are not: a circle.
  const circle = ["2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00A", "2024-01-01T00:00:00Z"];
  const chance = new Clock(1), any = (n: number) => Math.floor(chance.random() * n);
  const rows = new Rows([], comparator("t"));
  for (let i = 0; i < 2000; i++) {
    const op = (["enter", "update", "delete"] as const)[any(3)]!;
    rows._apply({ op, key: String(any(30)), version: i, fields: { t: circle[any(3)] } });
    assert.deepEqual(new Set(rows._first()), new Set(rows._all.values()), `change ${i}`);
  }
});
