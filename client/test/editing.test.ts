// A form on a row that others edit, too: what is saved, what comes in, and what goes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { editing, type Saved } from "../src/presence/index.ts";
import { settle } from "./clock.ts";
import { Page, ben, open } from "./page.ts";
import { outcome } from "./script.ts";
import { Server } from "./server.ts";

test("viewing, editing and in which field, idle, and viewing again", async () => {
  const p = await open({ idleAfter: 30_000 });
  assert.deepEqual([p.ed.state, p.told, p.ed.dirty], ["viewing", { state: "viewing" }, []]);
  p.form.fire("input", p.title);
  await p.clock.advance(10);
  assert.deepEqual(p.told, { state: "viewing" }, "input that changes nothing is no editing");
  p.body.enter("text!");
  await p.clock.advance(10);
  assert.deepEqual([p.ed.state, p.told], ["editing", { state: "editing", field: "body" }]);
  p.title.enter("one");
  await p.clock.advance(10);
  assert.deepEqual(p.told, { state: "editing", field: "title" });
  await p.clock.advance(29_000);
  p.title.enter("one tw");
  await p.clock.advance(29_000);
  assert.equal(p.ed.state, "editing");
  await p.clock.advance(2000);
  assert.deepEqual([p.ed.state, p.told], ["idle", { state: "idle", field: "title" }]);
  p.title.enter("one two three");
  await p.clock.advance(10);
  assert.deepEqual([p.ed.state, p.told], ["editing", { state: "editing", field: "body" }], "what is as it was is not dirty");
  p.ed.discard();
  await p.clock.advance(10);
  assert.deepEqual([p.ed.state, p.told, p.shows], ["viewing", { state: "viewing" }, ["one two three", "text", "Save"]]);
  assert.equal(p.calls.length, 0);
  p.ed.close();
  await p.clock.advance(10);
  assert.equal(p.server.table("presence").size, 0);
  await p.close();
});

test("a save says the version and what was seen, and its own echo is no conflict", async () => {
  for (const transport of ["websocket", "sse", "longpoll", "shortpoll"] as const) {
    const p = await open({ transport });
    p.title.enter("ONE");
    assert.equal(p.form.submit(), true);
    await p.clock.advance(3000);
    const { version, data, base, key } = p.calls[0]!;
    assert.deepEqual({ key, version, data, base }, { key: "7", version: 1, data: { title: "ONE" }, base: { title: "one two three" } });
    assert.deepEqual([p.ed.state, p.ed.dirty, p.version.value, p.row.fields["title"]], ["viewing", [], "2", "ONE"]);
    assert.deepEqual([p.conflicts, p.errors, p.saved], [[], [], [{ version: 2, by: undefined, changed: ["title"], own: true }]], transport);
    assert.equal(await p.ed.save(), undefined, "nothing is to be saved");
    assert.equal(p.calls.length, 1);
    await p.close();
  }
});

test("a clean form shows what somebody saved, and focus and caret stay", async () => {
  const p = await open();
  p.form.active = p.title;
  for (const [from, selection, to, then] of [
    ["one two three", [8, 13], "one 2 and a half three", [17, 22]],
    ["one 2 and a half three", [2, 2], "one three", [2, 2]],
    ["one three", [9, 9], "zero one three", [14, 14]],
    ["zero one three", [5, 8], "zero, one and three", [6, 9]],
    ["zero, one and three", [3, 8], "", [0, 0]],
  ] as const) {
    assert.equal(p.title.value, from);
    p.title.setSelectionRange(selection[0], selection[1], "backward");
    await p.other({ title: to });
    assert.deepEqual([p.title.value, [p.title.selectionStart, p.title.selectionEnd], p.title.selectionDirection], [to, then, "backward"]);
  }
  assert.deepEqual(p.saved[0], { version: 2, by: ben, changed: ["title"], own: false });
  assert.deepEqual([p.ed.state, p.version.value, p.calls.length], ["viewing", "6", 0]);
  await p.other({ n: 2 }, null);
  assert.deepEqual(p.saved.at(-1), { version: 7, by: null, changed: ["n"], own: false });
  await p.close();
});

test("what others do to other fields is merged, before the save and with it", async () => {
  const p = await open();
  p.title.enter("mine");
  await p.other({ body: "theirs" });
  assert.deepEqual([p.shows, p.ed.dirty, p.version.value], [["mine", "theirs", "Save"], ["title"], "2"]);
  // This one is on its way when the user saves.
  const save = p.ed.save();
  p.server.write("7", { body: "theirs again" }, undefined, "articles");
  await p.clock.advance(10);
  await save;
  assert.deepEqual([p.row.fields["title"], p.row.fields["body"], p.shows], ["mine", "theirs again", ["mine", "theirs again", "Save"]]);
  assert.deepEqual([p.conflicts, p.ed.version], [[], 4]);
  await p.close();
});

test("a server that does not merge is asked again with the new version, and not for ever", async () => {
  const p = await open();
  p.server.merges = false;
  p.title.enter("mine");
  const save = outcome(p.ed.save());
  p.server.write("7", { body: "theirs" }, undefined, "articles");
  await p.clock.advance(10);
  assert.deepEqual([(save.is as { title: string }).title, p.calls.map(c => c.version), p.shows], ["mine", [1, 2], ["mine", "theirs", "Save"]]);
  // One that always finds a conflict where there is none for us.
  const call = p.server.handle.bind(p.server);
  p.server.handle = (m, subs) => {
    if (m.type !== "call" || m.verb !== "update") return call(m, subs);
    const { n } = p.row.fields as { n: number };
    const row = p.server.write("7", { n: n + 1 }, undefined, "articles")!;
    return [{ type: "error", id: m.id, problem: { status: 409, code: "conflict", current: row, conflicts: ["title"] } }];
  };
  p.title.enter("more");
  const refused = outcome(p.ed.save());
  await p.clock.advance(10);
  assert.deepEqual([refused.is, p.ed.conflicts.map(c => [c.field, c.theirs, c.mine])], ["conflict", [["title", "mine", "more"]]]);
  await p.close();
});

test("what is typed while a save is under way is on top of it; a second save waits for the first", async () => {
  const p = await open();
  p.server.hold = true;
  p.title.enter("first");
  const one = outcome(p.ed.save());
  await p.clock.advance(10);
  assert.equal(p.ed.saving, true);
  p.title.enter("second");
  p.body.enter("also");
  const two = outcome(p.ed.save()), three = outcome(p.ed.save());
  p.server.write("7", { body: "theirs" }, undefined, "articles", ben);
  await p.clock.advance(100);
  assert.deepEqual([p.calls.length, p.ed.conflicts], [1, []], "one after the other");
  p.server.held.splice(0).forEach(f => f());
  await p.clock.advance(10);
  assert.deepEqual([(one.is as { title: string }).title, two.is, p.title.value], ["first", "conflict", "second"], "the body was changed by somebody else meanwhile");
  p.server.hold = false;
  assert.equal(three.is, "conflict");
  const last = outcome(p.ed.saveAnyway());
  await p.clock.advance(10);
  assert.deepEqual([(last.is as { title: string }).title, p.row.fields["body"], p.ed.dirty], ["second", "also", []]);
  await p.close();
});

test("who drops what is being saved has nothing left to save", async () => {
  const p = await open();
  p.server.hold = true;
  p.title.enter("first");
  const save = outcome(p.ed.save());
  await p.clock.advance(10);
  p.ed.discard();
  assert.equal(p.title.value, "one two three");
  p.server.held.splice(0).forEach(f => f());
  await p.clock.advance(10);
  assert.deepEqual([(save.is as { title: string }).title, p.title.value, p.ed.dirty], ["first", "first", []]);
  await p.close();
});

for (const [what, reason, happens] of [
  ["deleted", "deleted", (p: Page) => void p.server.write("7", undefined, undefined, "articles")],
  ["deleted, as a save finds out", "deleted", (p: Page) => { p.server.handle = (m, subs) => (m.type === "call" && m.verb === "update" ? [{ type: "error", id: m.id, problem: { status: 404, code: "not_found" } }] : Server.prototype.handle.call(p.server, m, subs)); }],
  ["no longer permitted", "forbidden", (p: Page) => { p.server.handle = (m, subs) => (m.type === "call" && m.verb === "update" ? [{ type: "error", id: m.id, problem: { status: 403, code: "forbidden" } }] : Server.prototype.handle.call(p.server, m, subs)); }],
  ["out of sight", "forbidden", (p: Page) => { p.server.rows.clear(); p.server.tables.set("articles", new Map()); p.server.tag = "t2"; p.server.break(); }],
] as const) {
  test(`a row that is ${what}: the text stays, with the reason`, async () => {
    const p = await open();
    p.body.enter("two\nlines");
    await p.clock.advance(10);
    happens(p);
    p.form.submit();
    await p.clock.advance(5000);
    assert.deepEqual(p.gone, [[reason, "title: one two three\n\nThe text:\ntwo\nlines"]]);
    assert.deepEqual([p.ed.state, p.body.value, p.button.disabled, p.errors, p.ed.text], ["gone", "two\nlines", true, [], p.gone[0]![1]]);
    await assert.rejects(p.ed.save(), { code: "not_found" });
    await p.close();
  });
}

test("a row that comes back can be edited again", async () => {
  const p = await open();
  p.title.enter("mine");
  const was = p.row;
  p.server.table("articles").delete("7");
  p.server.append({ router: "articles", key: "7", was, now: undefined });
  await p.clock.advance(10);
  assert.equal(p.ed.state, "gone");
  p.server.table("articles").set("7", { ...was, version: 9 });
  p.server.append({ router: "articles", key: "7", was: undefined, now: { ...was, version: 9 } });
  await p.clock.advance(10);
  assert.deepEqual([p.ed.state, p.button.disabled, p.ed.version], ["editing", false, 9]);
  await p.close();
});

test("other refusals are the application's to show, and a save can be said again", async () => {
  const p = await open();
  p.title.enter("");
  p.form.submit();
  await p.clock.advance(10);
  assert.deepEqual([p.errors, p.ed.state, p.ed.dirty, p.ed.saving], [["invalid_value"], "editing", ["title"], false]);
  p.title.enter("right");
  p.form.submit();
  await p.clock.advance(10);
  assert.deepEqual([p.row.fields["title"], p.errors.length], ["right", 1]);
  await p.close();
});

test("without a form it tells who is there and what others save", async () => {
  const p = await open();
  const people: number[] = [], saved: Saved[] = [];
  const ed = editing(p.live, "articles", "7", { onPeople: all => people.push(all.flatMap(a => a.metas).length), onSaved: s => saved.push(s) });
  await p.clock.advance(10);
  await p.other({ title: "x" });
  assert.deepEqual([people.at(-1), saved.map(s => s.changed), ed.state, ed.text, ed.row!["title"]], [2, [["title"]], "viewing", "", "x"]);
  ed.close();
  ed.close();
  await p.clock.advance(10);
  await p.other({ title: "y" });
  assert.equal(saved.length, 1);
  await p.close();
});

test("a lock is taken with the first change, kept from others, and given back after the save", async () => {
  const p = await open({ lock: true }), q = await open({ server: p.server, lock: true });
  const both = async () => {
    for (const page of [p, q, p, q]) await page.clock.advance(10);
  };
  await both();
  p.title.enter("mine");
  await both();
  const { token } = p.ed;
  assert.ok(token);
  assert.deepEqual([p.ed.holder!.me, q.ed.token, q.title.readOnly, p.title.readOnly], [true, undefined, true, false]);
  await assert.rejects(async () => {
    q.title.enter("theirs");
    await q.ed.save();
  }, { code: "locked" });
  const taken = outcome(q.ed.lock());
  await both();
  assert.equal(taken.is, "locked");
  const asked = outcome(q.ed.request());
  await both();
  assert.equal(p.ed.presence.people.flatMap(x => x.metas).find(m => m.member === q.ed.presence.member)!.wants, true);
  await p.ed.save().catch(() => {}).then.call(both(), () => {});
  await both();
  assert.deepEqual([asked.is, p.ed.token, p.row.fields["title"]], [undefined, undefined, "mine"]);
  await both();
  assert.deepEqual([q.title.readOnly, typeof q.ed.token, q.ed.conflicts.length], [false, "string", 1], "who waited with a change has it now, and the conflict besides");
  const over = outcome(p.ed.takeOver());
  await both();
  assert.deepEqual([typeof over.is, q.ed.token, p.ed.token === over.is], ["string", undefined, true]);
  const handed = outcome(p.ed.handOver(q.ed.presence.member!));
  await both();
  assert.deepEqual([handed.is, p.ed.token, typeof q.ed.token], [undefined, undefined, "string"]);
  const free = outcome(q.ed.unlock());
  await both();
  assert.equal(free.is, undefined);
  await p.close();
  await q.close();
  assert.deepEqual([q.title.readOnly, p.title.readOnly], [false, false]);
});

test("a lock that was taken over before it was seen is lost", async () => {
  const p = await open({ transport: "shortpoll" }), q = await open({ server: p.server });
  const mine = outcome(p.ed.lock());
  await settle();
  assert.equal(p.ed.token, mine.is, "the answer is here, and the row is not");
  const theirs = outcome(q.ed.takeOver());
  await q.clock.advance(10);
  await p.clock.advance(2100);
  assert.deepEqual([typeof theirs.is, q.ed.token, p.ed.token, p.ed.holder!.metas.length], ["string", theirs.is, undefined, 2]);
  await p.close();
  await q.close();
});
