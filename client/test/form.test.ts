// The controls of a form that is edited: what they show of a row, and what becomes of what they hold.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../src/presence/form.ts";
import { editing } from "../src/presence/index.ts";
import { Control, Form } from "./dom.ts";
import { Page, open } from "./page.ts";
import { Server } from "./server.ts";

test("a form that comes empty is filled, and a row without numbers for versions needs none", async () => {
  const server = new Server();
  server.table("articles").set("7", { key: "7", version: "ep.0001", fields: { id: 7, title: "one", body: "text" } });
  const p = new Page({ server });
  p.form.elements.splice(0, 1);
  p.title.value = p.title.defaultValue = p.body.value = p.body.defaultValue = "";
  const ed = editing(p.live, "articles", 7, { form: p.form as never, save: async s => (saves.push(s), undefined) }), saves: unknown[] = [];
  await p.clock.advance(10);
  assert.deepEqual([p.title.value, ed.dirty, ed.version], ["one", [], "ep.0001"]);
  p.title.enter("two");
  await ed.save();
  assert.deepEqual(saves, [{ key: "7", version: undefined, data: { title: "two" }, base: { title: "one" }, lock: undefined }]);
  assert.deepEqual(ed.dirty, []);
  ed.close();
  await p.close();
});

test("text that is being composed is left alone", async () => {
  const p = await open();
  p.form.active = p.title;
  p.form.fire("compositionstart", p.title);
  await p.other({ title: "theirs", body: "new" });
  assert.deepEqual(p.shows, ["one two three", "new", "Save"]);
  p.form.fire("compositionend", p.title);
  assert.equal(p.title.value, "theirs", "it was not changed, so it is shown now");
  p.form.fire("compositionstart", p.title);
  await p.other({ title: "theirs again" });
  p.title.enter("theirs ん");
  p.form.fire("compositionend", p.title);
  await p.clock.advance(10);
  assert.deepEqual([p.title.value, p.ed.conflicts.map(c => c.theirs)], ["theirs ん", ["theirs again"]]);
  await p.close();
});

test("a form that is reset shows the row, and not what the page came with", async () => {
  const p = await open();
  await p.other({ body: "newer" });
  p.title.enter("mine");
  p.form.reset();
  await p.clock.advance(10);
  assert.deepEqual([p.shows, p.ed.dirty], [["one two three", "newer", "Save"], []]);
  await p.close();
});

test("buttons that mean something else, and forms that are the application's own", async () => {
  const p = await open();
  p.title.enter("mine");
  assert.equal(p.form.fire("submit", undefined, { submitter: new Control("submit", "delete") }).prevented, false);
  assert.equal(p.form.fire("submit", undefined, { submitter: p.button }).prevented, true);
  await p.clock.advance(10);
  await p.close();
  const q = await open({ submit: false, fields: ["title"] });
  q.body.enter("x");
  assert.deepEqual([q.form.submit(), q.ed.dirty], [false, []]);
  await q.close();
});

test("each kind of control: what it shows of a value, and which value it is then", async () => {
  const radios = ["low", "high"].map(v => new Control("radio", "level", v, { checked: v === "low" }));
  const boxes = ["1", "2", "3"].map(v => new Control("checkbox", "tags", v, { checked: v !== "3" }));
  const more = [
    new Control("checkbox", "done", "on", { checked: true }), ...radios, ...boxes,
    new Control("select-one", "kind", "", { choices: ["", "a", "b"], chosen: ["a"] }),
    new Control("select-one", "owner", "", { choices: ["1", "2"], chosen: ["2"] }),
    new Control("select-multiple", "to", "", { choices: ["x", "y", "z"], chosen: ["y"] }),
    new Control("number", "price", "4.5"), new Control("date", "day", "2026-11-22"), new Control("date", "due", "2026-11-22"), new Control("datetime-local", "at", ""),
    new Control("number", "size", ""), new Control("text", "note", ""), new Control("email", "mail", "a@b.c"),
    new Control("file", "picture", ""), new Control("password", "secret", "s"), new Control("output", "sum", "3"),
  ];
  const row = { done: true, level: "low", tags: [1, 2], kind: "a", owner: 2, to: ["y"], price: 4.5, day: "2026-11-22", due: "2026-11-22T10:30:15.5Z", at: "2026-11-22T10:30:15Z", size: null, note: null, mail: "a@b.c", id: 7, title: "t", body: "b" };
  const server = new Server();
  server.write("7", row, undefined, "articles");
  const p = await open({ server, more, parse: { note: t => ({ text: t }) } });
  const of = (name: string) => more.filter(c => c.name === name);
  assert.deepEqual(p.ed.dirty, [], "a page's own way to show a value is no change");
  of("done")[0]!.enter(false);
  radios[1]!.enter(true);
  boxes[2]!.enter(true);
  of("kind")[0]!.enter(["b"]);
  of("owner")[0]!.enter(["1"]);
  of("to")[0]!.enter(["z", "x"]);
  of("price")[0]!.enter("5");
  of("day")[0]!.enter("2026-12-24");
  of("due")[0]!.enter("2026-12-24");
  of("at")[0]!.enter("2026-12-24T08:00");
  of("size")[0]!.enter("12");
  of("note")[0]!.enter("n");
  of("mail")[0]!.enter("");
  const save = p.ed.save();
  await p.clock.advance(10);
  await save;
  const data = p.calls[0]!.data as Record<string, unknown>;
  assert.deepEqual(data, {
    done: false, level: "high", tags: [1, 2, 3], kind: "b", owner: 1, to: ["x", "z"], price: 5, day: "2026-12-24", due: "2026-12-24T00:00:00Z",
    at: new Date("2026-12-24T08:00").toISOString(), size: 12, note: { text: "n" }, mail: "",
  });
  assert.deepEqual(p.calls[0]!.base, Object.fromEntries(Object.keys(data).filter(k => k !== "id").map(k => [k, row[k as keyof typeof row]])));
  await p.other({ done: true, level: "low", tags: [2], kind: "", owner: 2, to: [], price: null, day: null, size: null, mail: "b@c.d" });
  assert.deepEqual([of("done")[0]!.checked, radios.map(c => c.checked), boxes.map(c => c.checked), of("kind")[0]!.value, of("owner")[0]!.value, of("to")[0]!.options.map(o => o.selected), of("price")[0]!.value, of("day")[0]!.value, of("mail")[0]!.value],
    [true, [true, false], [false, true, false], "", "2", [false, false, false], "", "", "b@c.d"]);
  assert.deepEqual(p.ed.dirty, []);
  of("price")[0]!.enter("1");
  assert.deepEqual([p.ed.dirty, p.ed.conflicts], [["price"], []]);
  of("price")[0]!.enter("");
  assert.deepEqual(p.ed.dirty, []);
  await p.close();
});

test("line ends, and members in another order, are no difference", () => {
  const form = new Form(new Control("textarea", "t", "a\nb"), new Control("text", "j", ""));
  const fields = new Fields(form as never, undefined);
  assert.equal(fields._shown("t", "a\r\nb"), fields._text("t"));
  assert.equal(fields._value("t", "a\r\nb"), "a\r\nb");
  assert.equal(fields._shown("j", { a: 1 }), '{"a":1}');
});
