// Fields that two people changed: what is shown, and who decides.

import assert from "node:assert/strict";
import { test } from "node:test";
import { difference } from "../src/presence/difference.ts";
import { editing, type Piece } from "../src/presence/index.ts";
import { Clock } from "./clock.ts";
import { Control } from "./dom.ts";
import { Page, ben, open } from "./page.ts";
import { outcome } from "./script.ts";
import { Server } from "./server.ts";

test("the same field: theirs, mine, the difference, and a button that means it", async () => {
  const p = await open();
  p.title.enter("one 2 three");
  await p.other({ title: "one two four", body: "new" });
  const [c] = p.ed.conflicts;
  assert.deepEqual([c!.field, c!.label, c!.base, c!.theirs, c!.mine, c!.version, c!.by], ["title", "title", "one two three", "one two four", "one 2 three", 2, ben]);
  assert.deepEqual(c!.difference, [{ is: "both", text: "one " }, { is: "theirs", text: "two" }, { is: "mine", text: "2" }, { is: "both", text: " " }, { is: "theirs", text: "four" }, { is: "mine", text: "three" }]);
  assert.deepEqual(p.shows, ["one 2 three", "new", "Save anyway"]);
  assert.equal(p.version.value, "1", "a form without a script saw no other");
  p.form.submit();
  await p.clock.advance(1000);
  assert.deepEqual([p.calls.length, p.row.fields["title"], p.errors], [0, "one two four", []], "whoever was about to press Save did not mean it");
  assert.equal(p.conflicts.length, 2);
  p.title.enter("one 2 three!");
  assert.equal(p.ed.conflicts[0]!.mine, "one 2 three!");
  p.form.submit();
  await p.clock.advance(10);
  const { version, data, base } = p.calls[0]!;
  assert.deepEqual({ version, data, base }, { version: 2, data: { title: "one 2 three!" }, base: { title: "one two four" } });
  assert.deepEqual([p.row.fields["title"], p.shows[2], p.ed.state, p.version.value], ["one 2 three!", "Save", "viewing", "3"]);
  assert.deepEqual(p.conflicts.map(c => c.length), [1, 1, 0]);
  await p.close();
});

test("save anyway writes over what the user saw, and over nothing else", async () => {
  const p = await open();
  p.title.enter("mine");
  await p.other({ title: "theirs" });
  await p.clock.advance(1000);
  p.form.submit();
  // Overtaken by what nobody has seen here.
  p.server.write("7", { title: "theirs again" }, undefined, "articles", { name: "Cem" });
  await p.clock.advance(10);
  assert.deepEqual([p.row.fields["title"], p.ed.conflicts.map(c => [c.theirs, c.by]), p.shows[2]], ["theirs again", [["theirs again", { name: "Cem" }]], "Save anyway"]);
  // In the very turn in which another conflict comes.
  await p.clock.advance(1000);
  const save = p.ed.saveAnyway().then(() => "saved", e => e.code);
  await p.clock.advance(10);
  assert.deepEqual([await save, p.row.fields["title"]], ["saved", "mine"]);
  await p.close();
});

test("a conflict is decided field by field, or by what others do", async () => {
  const p = await open();
  p.title.enter("my title");
  p.body.enter("my body");
  await p.other({ title: "their title", body: "their body" });
  await assert.rejects(p.ed.save(), { code: "conflict" });
  p.ed.take("title");
  p.ed.keep("body");
  await p.clock.advance(10);
  assert.deepEqual([p.shows, p.ed.dirty, p.version.value], [["their title", "my body", "Save"], ["body"], "2"]);
  await p.other({ body: "other body" });
  assert.equal(p.ed.conflicts.length, 1, "what was decided was decided against another text");
  await p.other({ body: "their body" });
  assert.equal(p.ed.conflicts.length, 0, "and is so again");
  await p.other({ body: "my body" });
  assert.deepEqual([p.ed.conflicts, p.ed.dirty], [[], []], "both did the same");
  p.title.enter("x");
  await p.other({ title: "y" });
  p.ed.discard();
  await p.clock.advance(10);
  assert.deepEqual([p.shows, p.ed.conflicts, p.conflicts.at(-1)], [["y", "my body", "Save"], [], []]);
  await p.close();
});

test("sleep, wake, save: a conflict, and never an overwrite", async () => {
  const p = await open({ transport: "websocket" });
  p.title.enter("mine");
  p.server.down = true;
  p.server.break();
  await p.clock.advance(10);
  p.server.write("7", { title: "theirs" }, undefined, "articles", ben);
  p.server.trim();
  const save = outcome(p.ed.save());
  await p.clock.advance(60_000);
  assert.equal(save.is, "waits");
  p.server.down = false;
  p.clock.fire("online");
  await p.clock.advance(60_000);
  assert.deepEqual([save.is, p.row.fields["title"], p.ed.conflicts.map(c => [c.theirs, c.by])], ["conflict", "theirs", [["theirs", ben]]]);
  await p.close();
});

test("a page that was served before somebody saved, and in which was typed before the script came", async () => {
  const old = new Server(), server = new Server();
  for (const s of [old, server]) s.write("7", { title: "one", body: "text" }, undefined, "articles");
  server.write("7", { title: "one", body: "theirs" }, undefined, "articles", ben);
  const p = new Page({ server, at: old });
  p.title.enter("typed early");
  assert.equal(p.form.submit(), false, "until the row is known it is a form as any");
  await p.clock.advance(10);
  assert.deepEqual([p.shows, p.ed.dirty, p.conflicts, p.version.value], [["typed early", "theirs", "Save"], ["title"], [], "2"]);
  await p.close();
  const q = new Page({ server, at: old });
  q.body.enter("typed early");
  await q.clock.advance(10);
  assert.deepEqual([q.shows[2], q.ed.conflicts.map(c => [c.field, c.theirs])], ["Save anyway", [["body", "theirs"]]]);
  await q.close();
});

test("a page that was refused comes with what was written, and beside it what that was made from", async () => {
  const server = new Server();
  server.write("7", { title: "one", body: "text" }, undefined, "articles");
  server.write("7", { title: "theirs" }, undefined, "articles", ben);
  const p = new Page({ server, more: [new Control("hidden", "was.title", '"one"'), new Control("hidden", "was.body", '"text"')] });
  p.version.value = "1";
  p.ed.close();
  for (const [c, text] of [[p.title, "mine"], [p.body, "text"]] as const) c.value = c.defaultValue = text;
  const ed = editing(p.live, "articles", 7, { form: p.form as never });
  await p.clock.advance(10);
  assert.deepEqual([ed.dirty, ed.conflicts.map(c => [c.field, c.theirs, c.mine])], [["title"], [["title", "theirs", "mine"]]]);
  ed.keep("title");
  assert.deepEqual(p.form.elements.filter(c => c.type === "hidden").map(c => c.value), ["2", "x", '"theirs"', '"text"']);
  ed.close();
  await p.close();
});

test("the difference of two texts", () => {
  const said = (pieces: readonly Piece[]) => pieces.map(p => ({ both: " ", theirs: "-", mine: "+" })[p.is] + p.text);
  assert.deepEqual(said(difference("", "")), []);
  assert.deepEqual(said(difference("a b", "a b")), [" a b"]);
  assert.deepEqual(said(difference("", "a b")), ["+a b"]);
  assert.deepEqual(said(difference("a b c d", "a x c d")), [" a ", "-b", "+x", "  c d"]);
  assert.deepEqual(said(difference("a a", "a a a")), [" a a", "+ a"]);
  assert.deepEqual(said(difference("naïve 日本", "naïve 日本語!")), [" naïve ", "-日本", "+日本語!"]);
  const long = Array.from({ length: 2000 }, (_, i) => `w${i}`).join(" ");
  assert.deepEqual(said(difference(`x ${long} y`, `x ${long.toUpperCase()} y`)), [" x ", `-${long}`, `+${long.toUpperCase()}`, "  y"]);
  for (let seed = 1; seed <= 200; seed++) {
    const clock = new Clock(seed), text = () => Array.from({ length: clock.random() * 12 }, () => "abc"[Math.floor(clock.random() * 3)]).join(" ");
    const a = text(), b = text(), all = difference(a, b);
    assert.equal(all.filter(p => p.is !== "mine").map(p => p.text).join(""), a, `seed ${seed}`);
    assert.equal(all.filter(p => p.is !== "theirs").map(p => p.text).join(""), b, `seed ${seed}`);
  }
});
