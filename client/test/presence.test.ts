// Who is here: against a server whose members are rows, and word by word.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { connect } from "../src/index.ts";
import { People, type MemberRow } from "../src/presence/people.ts";
import { presence, type Person } from "../src/presence/index.ts";
import type { Options, TransportName } from "../src/types.ts";
import type { ClientMessage } from "../src/wire.ts";
import { Clock, settle } from "./clock.ts";
import { Script } from "./script.ts";
import { Server } from "./server.ts";

type Call = Extract<ClientMessage, { type: "call" }>;
type Joining = { key?: string; keys?: string[]; channel?: string; presence: { member?: string; token?: string; state?: object; away?: boolean } };

/** A tab with a clock and events of its own. */
class Tab {
  clock: Clock;
  live;
  constructor(server: Server, options: Options = {}, seed = 1) {
    this.clock = new Clock(seed);
    const { uuid } = this.clock.env, name = String.fromCharCode(96 + seed);
    this.live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, transport: "websocket", env: { ...this.clock.env, uuid: () => name + uuid() }, ...options });
  }
}

const names = (people: readonly Person[]) => people.map(p => `${p.id}${p.me ? " (me)" : ""}: ${p.metas.map(m => `${m.state.state}${m.away ? " away" : ""}`)}`);

let offs: (() => void)[] = [];
afterEach(() => offs.splice(0).forEach(off => off()));

/** Replaces what the browser has and Node does not. */
function browser(beacon?: (url: string, body: Blob) => boolean): void {
  const was = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { sendBeacon: beacon }, configurable: true });
  offs.push(() => (was ? Object.defineProperty(globalThis, "navigator", was) : Reflect.deleteProperty(globalThis, "navigator")));
}

for (const transport of ["websocket", "sse", "longpoll", "shortpoll"] as TransportName[]) {
  test(`${transport}: two come, say what they do, and go`, async () => {
    const server = new Server(), ada = new Tab(server, { transport }, 1), ben = new Tab(server, { transport }, 2);
    const both = async (ms: number) => {
      for (let i = 0; i < 3; i++) await Promise.all([ada.clock.advance(ms / 3), ben.clock.advance(ms / 3)]);
    };
    const a = presence(ada.live, "articles", 42, { state: { state: "viewing", as: "ada" } });
    const heard: string[][] = [];
    a.subscribe(people => heard.push(names(people)));
    await both(2100);
    assert.deepEqual([names(a.people), a.status.state, a.count], [["ada (me): viewing"], "live", 1]);
    const b = presence(ben.live, { router: "articles", key: 42 }, { state: { state: "viewing", as: "ben" } });
    await both(2100);
    assert.deepEqual(names(a.people), ["ada (me): viewing", "ben: viewing"]);
    assert.deepEqual(names(b.people), ["ada: viewing", "ben (me): viewing"]);
    b.set({ state: "editing", field: "title", as: "ben" });
    b.set({ state: "editing", field: "body", as: "ben" });
    await both(2100);
    assert.deepEqual(a.people[1]!.metas[0]!.state, { state: "editing", field: "body", as: "ben" });
    assert.equal(server.calls.filter(c => c.verb === "set").length, 1, "what is said in one turn is said once");
    b.leave();
    await both(2100);
    assert.deepEqual([names(a.people), names(b.people), b.status.state], [["ada (me): viewing"], [], "closed"]);
    assert.deepEqual(heard.map(h => h.length), [0, 0, 1, 2, 2, 1].slice(6 - heard.length), `${JSON.stringify(heard)}`);
    ada.live.close();
    ben.live.close();
    await settle();
    assert.deepEqual([a.status.state, ada.clock.pending, ben.clock.pending], ["closed", 0, 0]);
  });
}

test("the words of a member: subscribe, set, leave", async () => {
  const s = new Script();
  const here = presence(s.live, { channel: "chat:7" }, { state: { state: "typing" } });
  await s.hello();
  const { id, ...join } = s.last("subscribe") as unknown as Joining & { id: number };
  const { member, token } = join.presence;
  assert.deepEqual(join, { type: "subscribe", channel: "chat:7", presence: { member, token, state: { state: "typing" }, away: false } });
  assert.equal(member, here.member);
  assert.match(token!, /^[\w-]{22,}$/);
  await s.snapshot("e.1");
  here.set({ state: "typing" });
  await settle();
  assert.equal(s.sent.length, 1, "nothing new, nothing said");
  here.set({ state: "idle" });
  await settle();
  const { mutation, ...set } = s.last("call") as Call;
  assert.deepEqual(set, { type: "call", id: set.id, router: "presence", verb: "set", data: { member, token, state: { state: "idle" }, away: false } });
  here.set({ state: "viewing" });
  here.set({ state: "editing" });
  await settle();
  assert.equal(s.last("call").id, set.id, "one at a time");
  await s.say({ type: "result", id: set.id });
  assert.deepEqual((s.last("call").data as { state: object }).state, { state: "editing" }, "and then the newest");
  await s.say({ type: "result", id: s.last("call").id });
  here.leave();
  here.leave();
  await s.clock.advance(300);
  const { mutation: _, ...leave } = s.last("call");
  assert.deepEqual(leave, { type: "call", id: leave.id, router: "presence", verb: "leave", data: { member, token } });
  assert.equal(s.sent.filter(m => m.type === "call").length, 3);
  assert.equal(s.last("unsubscribe").id, id);
});

test("a state that cannot be is refused where it is said", () => {
  const s = new Script();
  const here = presence(s.live, "articles", 1);
  for (const bad of [null, [], "editing", { note: "é".repeat(600) }]) assert.throws(() => here.set(bad as never), TypeError);
  assert.deepEqual(here.state, { state: "viewing" });
  assert.throws(() => presence(s.live, "articles", 1, { state: 7 as never }), TypeError);
  s.live.close();
});

test("who comes again says what is so now, and no call that waited says what was", async () => {
  const s = new Script();
  const here = presence(s.live, "articles", 42);
  await s.hello();
  await s.snapshot("e.1");
  const before = (s.last("subscribe") as unknown as Joining).presence;
  s.socket.drop();
  here.set({ state: "editing", field: "title" });
  await settle();
  here.set({ state: "editing", field: "body" });
  await s.clock.advance(1000);
  await s.hello();
  const again = s.last("subscribe") as unknown as Joining & { cursor: string };
  assert.deepEqual([again.presence, again.cursor], [{ ...before, state: { state: "editing", field: "body" } }, "e.1"]);
  await s.say({ type: "resumed", id: 1, query: "q", cursor: "e.1" });
  await s.clock.advance(5000);
  assert.equal(s.sent.filter(m => m.type === "call").length, 0);
  s.live.close();
});

test("a set that the connection took with it is followed by the newest", async () => {
  const s = new Script();
  const here = presence(s.live, "articles", 42);
  await s.hello();
  await s.snapshot("e.1");
  here.set({ state: "idle" });
  await settle();
  here.set({ state: "editing" });
  s.socket.drop();
  await s.clock.advance(1000);
  await s.hello();
  const late = s.last("call");
  assert.deepEqual((late.data as { state: object }).state, { state: "idle" }, "it is said again, for it may not have arrived");
  await s.say({ type: "resumed", id: 1, query: "q", cursor: "e.1" }, { type: "result", id: late.id });
  assert.deepEqual((s.last("call").data as { state: object }).state, { state: "editing" });
  s.live.close();
});

test("a member that the server does not know any more comes again, and a call that fails is tried again", async () => {
  const server = new Server(), { live, clock } = new Tab(server);
  const here = presence(live, "articles", 42);
  await clock.advance(10);
  server.members.gone(here.member!);
  await clock.advance(10);
  assert.deepEqual(here.people, []);
  here.set({ state: "editing" });
  await clock.advance(10);
  assert.deepEqual(names(here.people), ["u1 (me): editing"]);
  assert.equal(server.members.tokens.size, 1, "under the same name");
  server.busy = m => (m.type === "call" ? 200 : undefined);
  here.set({ state: "idle" });
  await clock.advance(1000);
  assert.deepEqual(names(here.people), ["u1 (me): editing"]);
  server.busy = () => undefined;
  await clock.advance(10_000);
  assert.deepEqual(names(here.people), ["u1 (me): idle"]);
  live.close();
  await settle();
  assert.equal(clock.pending, 0);
});

test("what a round and a call under way together left wrong is put right", async () => {
  const s = new Script();
  const here = presence(s.live, "articles", 42);
  await s.hello();
  const row = (state: object) => ({ id: here.member, on: "42", person: "u1", name: "Ada", info: {}, state, away: false, since: "2026-11-22T10:00:00Z", lock: "", wants: false });
  await s.snapshot("e.1", [here.member!, 1, row({ state: "viewing" })]);
  here.set({ state: "idle" });
  await settle();
  await s.say({ type: "result", id: s.last("call").id });
  await s.clock.advance(2000);
  assert.equal(s.sent.filter(m => m.type === "call").length, 1, "the row may only be late");
  await s.change("e.2", "update", here.member!, 2, { state: { state: "idle" } });
  await s.clock.advance(10_000);
  assert.equal(s.sent.filter(m => m.type === "call").length, 1);
  await s.change("e.3", "update", here.member!, 3, { state: { state: "viewing" } });
  await s.clock.advance(10_000);
  assert.deepEqual((s.last("call").data as { state: object }).state, { state: "idle" });
  await s.say({ type: "result", id: s.last("call").id });
  await s.clock.advance(20_000);
  assert.equal(s.sent.filter(m => m.type === "call").length, 2, "once: a server may write it in another way");
  s.live.close();
});

test("a hidden tab is away, and is not when it is looked at again", async () => {
  const server = new Server(), { live, clock } = new Tab(server);
  const here = presence(live, "articles", 42);
  await clock.advance(10);
  clock.isHidden = true;
  clock.fire("visibilitychange");
  await clock.advance(10);
  assert.deepEqual(names(here.people), ["u1 (me): viewing away"]);
  here.set({ state: "idle" });
  await clock.advance(10);
  assert.deepEqual(names(here.people), ["u1 (me): idle away"]);
  clock.isHidden = false;
  clock.fire("visibilitychange");
  await clock.advance(10);
  assert.deepEqual(names(here.people), ["u1 (me): idle"]);
  live.close();
});

test("a page that goes says so with a beacon, and comes again out of the cache", async () => {
  const beacons: [string, Blob][] = [];
  browser((url, body) => !!beacons.push([url, body]));
  const server = new Server(), { live, clock } = new Tab(server);
  const here = presence(live, "articles", 42, { state: { state: "editing" } });
  await clock.advance(10);
  clock.fire("pageshow");
  await clock.advance(10);
  assert.equal(server.received.filter(r => r.m.type === "subscribe").length, 1, "one that only began has nothing to come back to");
  clock.fire("pagehide");
  clock.fire("pagehide");
  assert.equal(beacons.length, 1);
  const [url, body] = beacons[0]!;
  assert.deepEqual([url, body.type], ["http://host.test/live/?protocol=1", "application/json"]);
  const { data, ...leave } = JSON.parse(await body.text()) as Call;
  assert.deepEqual(leave, { type: "call", id: 1, router: "presence", verb: "leave" });
  assert.deepEqual(data, { member: here.member, token: server.members.tokens.get(here.member!) });
  server.members.gone(here.member!);
  clock.isHidden = true;
  clock.fire("visibilitychange");
  here.set({ state: "idle" });
  server.break();
  await clock.advance(5000);
  assert.equal(server.members.tokens.size, 0, "what was under way does not bring it back");
  clock.isHidden = false;
  clock.fire("pageshow");
  await clock.advance(10);
  assert.deepEqual(names(here.people), ["u1 (me): idle"]);
  server.members.gone(here.member!);
  clock.fire("resume");
  await clock.advance(10);
  assert.deepEqual(names(here.people), ["u1 (me): idle"], "one that was frozen may have been given up");
  here.leave();
  clock.fire("pagehide");
  assert.equal(beacons.length, 1);
  live.close();
});

test("without a beacon, or where a header signs in, the page says it with a fetch that outlives it", async () => {
  for (const [beacon, headers] of [[() => false, undefined], [() => assert.fail("a beacon has no headers"), { Authorization: "x" }], [undefined, () => ({ Authorization: "x" })]] as const) {
    browser(beacon as never);
    const server = new Server(), sent: RequestInit[] = [];
    const fetch = (url: string, init: RequestInit) => (sent.push(init), server.fetch(url, { signal: new AbortController().signal, ...init }));
    const { live, clock } = new Tab(server, { fetch: fetch as never, ...(headers && { headers }) });
    presence(live, "articles", 42);
    await clock.advance(10);
    clock.fire("pagehide");
    await clock.advance(10);
    assert.deepEqual([sent.length, sent[0]!.keepalive, sent[0]!.method, server.members.tokens.size], [1, true, "POST", 0]);
    assert.equal(new Headers(sent[0]!.headers).get("Authorization"), headers ? "x" : null);
    live.close();
    offs.splice(0).forEach(off => off());
  }
});

test("over another transport it is the same member, with what it says now", async () => {
  const server = new Server(), { live, clock } = new Tab(server, { transport: undefined as never, transports: ["websocket", "shortpoll"] });
  const here = presence(live, "articles", 42);
  await clock.advance(10);
  here.set({ state: "editing" });
  await clock.advance(10);
  server.blocked.add("websocket");
  server.members.gone(here.member!);
  server.break();
  await clock.advance(120_000);
  assert.deepEqual([live.status.current.transport, names(here.people)], ["shortpoll", ["u1 (me): editing"]]);
  const subscribes = server.received.filter(r => r.via === "shortpoll").map(r => r.m as unknown as Joining);
  assert.ok(subscribes.length > 3 && subscribes.every(m => m.presence.member === here.member), "each round says it, which renews the lease");
  live.close();
});

test("several tabs are one person, and so are several objects", async () => {
  const server = new Server(), one = new Tab(server, {}, 1), two = new Tab(server, {}, 2), three = new Tab(server, {}, 3);
  const a = presence(one.live, "articles", 1, { state: { as: "ada", n: 1 } });
  await one.clock.advance(1);
  const b = presence(two.live, "articles", 1, { state: { as: "ada", n: 2 } }), other = presence(two.live, "articles", 2, { state: { as: "ben" } });
  const look = presence(three.live, "articles", [1, 2, 3]);
  for (const t of [one, two, three, one]) await t.clock.advance(1);
  assert.deepEqual(a.people.map(p => [p.id, p.metas.map(m => m.state["n"])]), [["ada", [1, 2]]]);
  assert.deepEqual(look.people.map(p => [p.id, p.me]), [["ada", false], ["ben", false]]);
  assert.deepEqual([look.at(1).length, look.at("2")[0]!.name, look.at(3), look.member, look.count], [1, "BEN", [], undefined, 2]);
  const [ada] = look.people, at = look.at(2), people = look.people;
  other.set({ as: "ben", state: "idle" });
  for (const t of [two, three]) await t.clock.advance(1);
  assert.deepEqual([look.people[0] === ada, look.at(2) === at, look.people === people], [true, false, false], "who did not change is the same object");
  a.leave();
  for (const t of [one, two, three]) await t.clock.advance(1);
  assert.deepEqual([look.at(1).map(p => p.metas.length), b.people[0]!.me], [[1], true]);
  for (const t of [one, two, three]) t.live.close();
});

test("other objects are looked at without losing sight of those that stay", async () => {
  const server = new Server(), ada = new Tab(server, {}, 1), ben = new Tab(server, {}, 2);
  presence(ada.live, "articles", 2, { state: { as: "ada" } });
  await ada.clock.advance(1);
  const look = presence(ben.live, "articles", []);
  await ben.clock.advance(1);
  assert.deepEqual([look.status.state, look.people], ["live", []]);
  look.look([1, 2]);
  await ben.clock.advance(1);
  const counts: number[] = [];
  look.subscribe(people => counts.push(people.length));
  look.look([3, 2, 2]);
  look.look([2, 3]);
  await ben.clock.advance(1000);
  assert.deepEqual([look.at(2).length, counts.every(n => n === 1)], [1, true]);
  look.look([1, 3]);
  await settle(1);
  assert.deepEqual(look.people, [], "and of who is not looked at nothing is said, though the answer is under way");
  await ben.clock.advance(1000);
  const keys = Array.from({ length: 450 }, (_, i) => i);
  look.look(keys);
  await ben.clock.advance(1000);
  const asked = server.received.filter(r => r.m.type === "subscribe").slice(-3).map(r => (r.m as unknown as Joining).keys!.length);
  assert.deepEqual([asked, look.at(2).length], [[200, 200, 50], 1]);
  look.leave();
  await ben.clock.advance(1000);
  look.look([1]);
  await ben.clock.advance(1000);
  assert.equal([...server.sessions].flatMap(s => [...s.subs.values()]).filter(s => s.router === "presence").length, 1, "Ada's alone");
  ada.live.close();
  ben.live.close();
});

test("who may not see the object learns nothing, and is not there", async () => {
  const server = new Server(), { live, clock } = new Tab(server);
  const here = presence(live, "secret", 42), heard: unknown[] = [];
  here.subscribe((people, { state, error }) => heard.push([people.length, state, error?.code]));
  await clock.advance(10);
  assert.deepEqual(heard, [[0, "loading", undefined], [0, "closed", "not_found"]]);
  here.set({ state: "editing" });
  clock.fire("pagehide");
  await clock.advance(10_000);
  assert.deepEqual([server.calls, server.members.tokens.size], [[], 0]);
  live.close();
});

test("where there are more than are known the server counts", async () => {
  const s = new Script();
  const here = presence(s.live, { channel: "hall" }, { limit: 2, look: true });
  const heard: number[] = [];
  here.subscribe(() => heard.push(here.count));
  await s.hello();
  assert.deepEqual(s.last("subscribe"), { type: "subscribe", id: 1, channel: "hall", limit: 2, order: "since", presence: {} });
  const row = (id: string) => ({ key: id, version: 1, fields: { id, on: "hall", person: id, name: id, info: null, state: {}, away: false, since: `2026-11-22T10:00:0${id}Z`, lock: "", wants: false } });
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.1", order: "since,id", more: true, rows: [row("1"), row("2")] });
  assert.deepEqual(s.last("subscribe"), { type: "subscribe", id: 2, channel: "hall", count: true, presence: {} });
  await s.say({ type: "snapshot", id: 2, query: "n", cursor: "e.1", count: 9999 });
  assert.deepEqual([here.count, here.hasMore, here.people.map(p => p.id)], [9999, true, ["1", "2"]]);
  await s.say({ type: "count", query: "n", cursor: "e.2", count: 10_000 });
  assert.deepEqual(heard, [0, 2, 9999, 10_000]);
  const more = here.more();
  await settle();
  assert.equal((s.last("subscribe") as { limit?: number }).limit, 4);
  await s.say({ type: "resumed", id: s.last("subscribe").id, query: "q2", cursor: "e.1" }, { type: "change", query: "q2", cursor: "e.2", more: false, changes: [{ op: "enter", ...row("3") }] });
  await more;
  assert.deepEqual([here.count, here.hasMore], [3, false]);
  here.leave();
  await s.clock.advance(500);
  assert.equal(s.sent.filter(m => m.type === "unsubscribe").length, 3);
  s.live.close();
});

test("nobody changes places because the tab with which he came is closed", () => {
  const row = (id: string, person: string, second: number, more = {}): MemberRow => Object.freeze({ id, on: "1", person, name: person, info: {}, state: {}, away: false, since: `2026-11-22T10:00:${String(second).padStart(2, "0")}Z`, lock: "", wants: false, ...more });
  const people = new People(), none = new Set<string>();
  const a1 = row("a1", "ada", 1), a2 = row("a2", "ada", 9), b = row("b", "ben", 5), c = row("c", "cem", 5);
  const order = (...rows: MemberRow[]) => (people._set(rows, none), people._list.map(p => p.id).join());
  assert.equal(order(c, b, a2, a1), "ada,ben,cem");
  assert.equal(order(c, b, a2), "ada,ben,cem");
  assert.equal(order(c, b), "ben,cem");
  assert.equal(order(c, b, a2), "ben,cem,ada");
  const list = people._list;
  assert.equal(people._set([a2, b, c], none), false);
  assert.equal(people._list, list);
  assert.equal(people._set([row("a2", "ada", 9, { name: "Ada L." }), b, c], none), true);
  assert.deepEqual(people._list.map(p => p.name), ["ben", "cem", "Ada L."]);
});

test("what throws in a handler disturbs nobody, and a handler that is taken back hears nothing", async () => {
  const errors: unknown[] = [], was = globalThis.reportError;
  globalThis.reportError = e => void errors.push(e);
  offs.push(() => (globalThis.reportError = was));
  const server = new Server(), { live, clock } = new Tab(server), here = presence(live, "articles", 1);
  let heard = 0, silent = 0;
  here.subscribe(() => { throw new Error("oh"); });
  here.subscribe(() => heard++);
  here.subscribe(() => silent++)();
  await clock.advance(10);
  assert.ok(heard > 1 && errors.length === heard);
  assert.equal(silent, 1);
  live.close();
});

// What is built, where names that begin with "_" are other ones in each file.

test("the built files fit together: modules, and scripts that leave one global", async () => {
  const url = (name: string) => new URL(`../dist/${name}`, import.meta.url).href;
  const module = { ...(await import(url("live.mjs"))), ...(await import(url("presence.mjs"))) };
  await import(url("live.js"));
  await import(url("presence.js"));
  const classic = (globalThis as unknown as { Live: typeof module }).Live;
  assert.deepEqual(Object.keys(classic).sort(), Object.keys(module).sort());
  for (const { connect, presence } of [module, classic] as { connect: typeof import("../src/index.ts").connect; presence: typeof import("../src/presence/index.ts").presence }[]) {
    const server = new Server(), clock = new Clock();
    const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, env: clock.env });
    const here = presence(live, "articles", 42);
    await clock.advance(10);
    here.set({ state: "idle" });
    await clock.advance(10);
    server.members.gone(here.member!);
    here.set({ state: "editing" });
    await clock.advance(10);
    assert.deepEqual(names(here.people), ["u1 (me): editing"]);
    live.close();
    await settle();
    assert.equal(clock.pending, 0);
  }
});
