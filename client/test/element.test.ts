// <live-editors>: who is at an object, by name.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { connect } from "../src/index.ts";
import { doing, editors, presence, type Person } from "../src/presence/index.ts";
import { Clock } from "./clock.ts";
import { Server } from "./server.ts";

/** As much of an element as is needed. */
class Element {
  static observedAttributes: string[] = [];
  attributes = new Map<string, string>();
  children: (Element | string)[] = [];
  dataset: Record<string, string> = {};
  className = "";
  textContent = "";
  colors: string[] = [];
  style = { setProperty: (name: string, value: string) => void this.colors.push(name + value) };
  renders = 0;
  hasAttribute = (name: string) => this.attributes.has(name);
  getAttribute = (name: string) => this.attributes.get(name) ?? null;
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
    if ((this.constructor as typeof Element).observedAttributes.includes(name)) (this as unknown as { attributeChangedCallback(): void }).attributeChangedCallback();
  }
  toggleAttribute(name: string, on: boolean): void {
    on ? this.attributes.set(name, "") : this.attributes.delete(name);
  }
  replaceChildren(...all: (Element | string)[]): void {
    this.children = all;
    this.renders++;
  }
  get text(): string {
    return this.children.map(c => (typeof c === "string" ? c : c.textContent)).join("");
  }
}

type Shown = Element & { connectedCallback(): void; disconnectedCallback(): void };

const defined = new Map<string, new () => Shown>();
const globals = { HTMLElement: Element, customElements: { define: (tag: string, c: never) => defined.set(tag, c) }, document: { createElement: () => new Element() } };
Object.assign(globalThis, globals);
after(() => Object.keys(globals).forEach(name => Reflect.deleteProperty(globalThis, name)));

test("names as text, at most four and how many more, said when they change", async () => {
  const server = new Server(), clock = new Clock();
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, transport: "websocket", env: clock.env });
  editors(live, { tag: "one-live" });
  const make = (attributes: object) => {
    const e = new (defined.get("one-live")!)();
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v as string);
    e.connectedCallback();
    return e;
  };
  const row = (id: string, on: string, more: object = {}) => void server.write(id, { on, router: "articles", person: id, name: `<b>${id}`, info: { color: "#c00" }, state: { state: "viewing" }, away: false, since: `2026-11-22T10:00:0${id}Z`, lock: "", wants: false, ...more }, undefined, "presence");
  const seven = make({ router: "articles", key: "7" }), eight = make({ router: "articles", key: "8", role: "note" }), none = make({ router: "articles" });
  await clock.advance(10);
  assert.deepEqual([seven.text, seven.getAttribute("role"), eight.getAttribute("role"), seven.getAttribute("aria-live"), seven.hasAttribute("data-empty"), none.text], ["", "status", "note", "polite", true, ""]);
  row("1", "7");
  row("2", "7", { state: { state: "editing" }, lock: "f1" });
  await clock.advance(10);
  const [first, comma, second] = seven.children as [Element, string, Element];
  assert.deepEqual([seven.text, first.dataset, comma, second.dataset, second.className, second.colors], ["<b>1, <b>2 (editing)", { state: "viewing" }, ", ", { state: "editing", lock: "" }, "live-person", ["--live-color#c00"]]);
  assert.equal(seven.hasAttribute("data-empty"), false);
  for (const id of ["3", "4", "5", "6"]) row(id, "7");
  row("9", "8", { away: true, info: null });
  await clock.advance(10);
  assert.deepEqual([seven.text, eight.text], ["<b>1, <b>2 (editing), <b>3, <b>4 and 2 more", "<b>9 (away)"]);
  const { renders } = seven;
  row("6", "7", { state: { state: "idle" } });
  row("1", "7", { state: { state: "viewing", field: "x" } });
  await clock.advance(10);
  assert.equal(seven.renders, renders, "nothing that is shown changed, so nothing is said");
  assert.equal(server.received.filter(r => r.m.type === "subscribe").length, 1, "all of a router share one subscription");

  // A list that is drawn anew, and an element that becomes that of another object.
  for (const e of [seven, eight]) {
    e.disconnectedCallback();
    e.connectedCallback();
  }
  await clock.advance(1000);
  assert.equal(server.received.filter(r => r.m.type === "subscribe").length, 1);
  seven.setAttribute("key", "8");
  eight.disconnectedCallback();
  await clock.advance(1000);
  assert.equal(seven.text, "<b>9 (away)");
  assert.deepEqual((server.received.filter(r => r.m.type === "subscribe").at(-1)!.m as unknown as { keys: string[] }).keys, ["8"]);

  const here = presence(live, "articles", 8, { state: { state: "editing", as: "me" } });
  await clock.advance(10);
  assert.equal(seven.text, "<b>9 (away)", "of oneself nobody has to be told");
  here.leave();
  live.close();
});

test("in the application's words", async () => {
  const server = new Server(), clock = new Clock();
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, transport: "websocket", env: clock.env });
  editors(live, { tag: "two-live", most: 1, says: p => ` (${doing(p) === "editing" ? "schreibt" : "liest"})`, more: n => `und ${n} weitere` });
  const e = new (defined.get("two-live")!)();
  e.setAttribute("router", "articles");
  e.setAttribute("key", "7");
  e.connectedCallback();
  for (const id of ["1", "2"]) server.write(id, { on: "7", person: id, name: id, info: null, state: { state: "editing" }, away: false, since: `2026-11-22T10:00:0${id}Z`, lock: "", wants: false }, undefined, "presence");
  await clock.advance(10);
  assert.equal(e.text, "1 (schreibt) und 1 weitere");
  live.close();
});

test("what somebody does, of what his tabs do", () => {
  const person = (...metas: [state: string | undefined, away?: boolean][]) => ({ metas: metas.map(([state, away = false]) => ({ state: state ? { state } : {}, away })) }) as unknown as Person;
  assert.deepEqual([
    person(["viewing"], ["editing"]), person(["viewing"], ["editing", true]), person(["editing", true]), person([undefined]), person(["idle"], ["viewing"]), person(["idle"], ["typing"]), person(["sleeping"]),
  ].map(doing), ["editing", "viewing", "away", "viewing", "viewing", "typing", "sleeping"]);
});
