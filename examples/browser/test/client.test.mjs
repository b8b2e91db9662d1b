// The client's editing and <live-editors> on a real page: focus, caret, scrolling, input methods, and the controls that only a browser
// has. There is no hub: the page says itself what the others do.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { launch } from "../lib/chromium.mjs";

const form = `<!doctype html><meta charset="utf-8"><title>client</title>
  <form id="article" action="/plain" method="post">
    <input type="hidden" name="version" value="1">
    <label>Title <input name="title" value="one two three"></label>
    <label>Text <textarea name="body" rows="3" cols="20">\n${Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n")}</textarea></label>
    <label><input type="checkbox" name="done"> Done</label>
    <label><input type="radio" name="level" value="low" checked> low</label> <label><input type="radio" name="level" value="high"> high</label>
    <select name="kind"><option value="">none</option><option>a</option><option>b</option></select>
    <select name="to" multiple><option>x</option><option selected>y</option><option>z</option></select>
    <input type="number" name="n" value="4"> <input type="date" name="due" value="2026-11-22"> <input type="datetime-local" name="at">
    <button>Save</button> <button type="reset">Reset</button>
  </form>
  <live-editors router="articles" key="7"></live-editors>`;

/** In the page: a client with one row, and who is at it. */
function page() {
  const handlers = { rows: new Set(), changes: new Set(), people: new Set() };
  const lines = Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n");
  window.row = { id: 7, title: "one two three", body: lines, done: false, level: "low", kind: "", to: ["y"], n: 4, due: "2026-11-22T10:30:00Z", at: null };
  let version = 1, people = [];
  window.time = 1_000_000;
  const versions = new WeakMap([[window.row, 1]]);
  const off = (all, f) => (all.add(f), () => all.delete(f));
  const live = {
    hook: { url: "/live/", options: {}, env: { now: () => window.time, setTimeout: (f, ms) => setTimeout(f, ms), clearTimeout, random: Math.random, uuid: () => crypto.randomUUID(), hidden: () => false, on: () => () => {} } },
    status: { current: { connected: true }, subscribe: () => () => {} },
    list: (router, options, more) => ({
      get rows() { return more ? people : [window.row]; },
      status: { state: "live" }, hasMore: false, again() {}, pending: () => false, version: (r) => versions.get(r),
      on: (event, f) => off(handlers.changes, f),
      subscribe: (f) => (queueMicrotask(() => f([], { state: "live" })), off(more ? handlers.people : handlers.rows, f)),
    }),
    call: async (router, verb, { data, base, version: was }) => {
      if (router === "presence") return {};
      window.sent = { data, base, version: was };
      return window.save(data, undefined, true);
    },
  };
  window.save = (fields, by, own) => {
    window.row = { ...window.row, ...fields };
    versions.set(window.row, ++version);
    if (own) return window.row;
    for (const f of handlers.changes) f({ op: "update", key: "7", row: window.row, by });
    for (const f of handlers.rows) f([window.row], { state: "live" });
  };
  window.come = (...names) => {
    people = names.map((name, i) => ({ id: `m${i}`, on: "7", person: `p${i}`, name, info: { color: "red" }, state: { state: "editing" }, away: false, since: `2026-11-22T10:00:0${i}Z`, lock: "", wants: false }));
    for (const f of handlers.people) f(people, { state: "live" });
  };
  Live.editors(live);
  window.ed = Live.editing(live, "articles", 7, { form: document.getElementById("article") });
}

let browser, context, tab;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** What is done is told when the turn is over. */
const run = (f, argument) => tab.evaluate(`(async () => { const result = await (${f})(${JSON.stringify(argument)}); await new Promise((next) => setTimeout(next)); return result; })()`);
const says = (name) => tab.locator(`[name=${name}]`).first().inputValue();

describe("editing on a page", () => {
  beforeEach(async () => {
    context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], timezoneId: "Europe/Vienna" });
    tab = await context.newPage();
    const files = new Map(await Promise.all(["live.js", "presence.js"].map(async (name) => [`/${name}`, await readFile(new URL(`../../../client/dist/${name}`, import.meta.url), "utf8")])));
    await tab.route("**", (route) => {
      const script = files.get(new URL(route.request().url()).pathname);
      return route.fulfill(script ? { contentType: "text/javascript", body: script } : { contentType: "text/html", body: form });
    });
    await tab.goto("http://localhost/");
    for (const url of ["/live.js", "/presence.js"]) await tab.addScriptTag({ url });
    await run(page);
  });
  afterEach(() => context?.close());

  test("the page's own values are no change, whatever the controls make of them", async () => {
    assert.deepEqual(await run(() => [ed.state, ed.dirty, ed.version]), ["viewing", [], 1]);
  });

  test("what others save comes in, and focus, selection and scrolling stay", async () => {
    const body = tab.locator("textarea");
    await body.focus();
    const was = await run(() => {
      const area = document.activeElement, at = area.value.indexOf("line 20");
      area.setSelectionRange(at, at + 7, "forward");
      area.scrollTop = 120;
      return area.scrollTop;
    });
    await run(() => save({ body: row.body.replace("line 2\n", "a much longer line 2\n").replace("line 30", "thirty"), title: "other" }));
    assert.deepEqual(await run(() => {
      const area = document.activeElement;
      return [area.name, area.value.slice(area.selectionStart, area.selectionEnd), area.scrollTop];
    }), ["body", "line 20", was]);
    assert.equal(await says("title"), "other");
    await tab.keyboard.press("ArrowRight");
    await tab.keyboard.type("!");
    assert.match(await says("body"), /a much longer line 2\n[^]*line 20!\n[^]*thirty/);
    assert.deepEqual(await run(() => [ed.state, ed.dirty]), ["editing", ["body"]]);
  });

  test("an input method that composes is not disturbed", async () => {
    const keys = await context.newCDPSession(tab);
    await tab.locator("[name=title]").focus();
    await tab.keyboard.press("End");
    await keys.send("Input.imeSetComposition", { text: "に", selectionStart: 1, selectionEnd: 1 });
    await run(() => save({ title: "theirs" }));
    await keys.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 });
    assert.equal(await says("title"), "one two threeにほ");
    await keys.send("Input.insertText", { text: "日本" });
    assert.equal(await says("title"), "one two three日本");
    assert.deepEqual(await run(() => ed.conflicts.map((c) => [c.field, c.label, c.theirs, c.mine])), [["title", "Title", "theirs", "one two three日本"]]);
  });

  test("a conflict: the button says what it does, and does it once it was seen", async () => {
    await tab.locator("[name=title]").fill("mine");
    await run(() => save({ title: "theirs", n: 5 }, { name: "Ben" }));
    const button = tab.locator("button", { hasText: "Save anyway" });
    await button.click();
    assert.deepEqual(await run(() => [row.title, window.sent, ed.conflicts[0].by]), ["theirs", undefined, { name: "Ben" }]);
    await run(() => (window.time += 1000));
    await button.click();
    assert.deepEqual(await run(() => [row.title, sent, ed.state, document.querySelector("[name=version]").value]), ["mine", { data: { title: "mine" }, base: { title: "theirs" }, version: 2 }, "viewing", "3"]);
    await tab.locator("button", { hasText: /^Save$/ }).waitFor();
  });

  test("each kind of control", async () => {
    await tab.locator("[name=done]").check();
    await tab.locator("[value=high]").check();
    await tab.locator("[name=kind]").selectOption("b");
    await tab.locator("[name=to]").selectOption(["x", "z"]);
    await tab.locator("[name=n]").fill("");
    await tab.locator("[name=due]").fill("2026-12-24");
    await tab.locator("[name=at]").fill("2026-12-24T08:30");
    await tab.locator("[name=at]").press("Enter");
    await run(() => {});
    const data = { done: true, level: "high", kind: "b", to: ["x", "z"], n: null, due: "2026-12-24T00:00:00Z", at: "2026-12-24T07:30:00.000Z" };
    assert.deepEqual(await run(() => sent.data), data);
    await run(() => save({ done: false, level: "low", kind: "a", to: [], n: 1.5, due: null, at: "2026-07-01T10:00:00Z" }));
    assert.deepEqual(await run(() => Object.fromEntries([...new FormData(document.getElementById("article"))].filter(([name]) => !/title|body|version/.test(name)))), { level: "low", kind: "a", n: "1.5", due: "", at: "2026-07-01T12:00" });
    assert.deepEqual(await run(() => ed.dirty), []);
  });

  test("a reset shows the row as it is", async () => {
    await run(() => save({ title: "newer" }));
    await tab.locator("[name=n]").fill("9");
    await tab.locator("[type=reset]").click();
    await run(() => new Promise((next) => setTimeout(next, 1)));
    assert.deepEqual([await says("title"), await says("n"), await run(() => ed.dirty)], ["newer", "4", []]);
  });

  test("what cannot be saved any more can be copied", async () => {
    await tab.locator("[name=title]").fill("keep me");
    await run(() => document.body.append(ed.copyButton("Copy", "It is copied")));
    await tab.locator("button", { hasText: "Copy" }).click();
    await tab.locator("button", { hasText: "It is copied" }).waitFor();
    assert.match(await run(() => navigator.clipboard.readText()), /^Title: keep me\n\nText:\nline 0\n/);
  });

  test("who is there, by names that are text", async () => {
    await run(() => come("<b>Ada</b>", "Ben", "Cem", "Dan", "Eve", "Fay"));
    assert.deepEqual(await run(() => {
      const element = document.querySelector("live-editors");
      return [element.textContent, element.querySelectorAll("b").length, element.role, element.querySelector("span").style.getPropertyValue("--live-color")];
    }), ["<b>Ada</b> (editing), Ben (editing), Cem (editing), Dan (editing) and 2 more", 0, "status", "red"]);
    await run(() => come());
    assert.equal(await run(() => document.querySelector("live-editors").matches("[data-empty]:empty")), true);
  });
});
