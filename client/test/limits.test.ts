// What the client makes of a server that has no time for it: it waits as long as it is told, tries again by itself, and tells the
// application only what lasts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { Live, Options } from "../src/types.ts";
import type { ClientMessage, ServerMessage } from "../src/wire.ts";
import { Clock, settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import { Server } from "./server.ts";

type Todo = { id?: number; title: string };

const limited = (id: number, retry_after?: number, code = "rate_limited"): ServerMessage => ({ type: "error", id, problem: { status: 429, code, ...(retry_after !== undefined && { retry_after }) } });

interface World { server: Server; clock: Clock; live: Live; times: number[]; since(from: number): number[] }

/** A client over a server, and the time of each request and socket. */
function world(options: Options, server = new Server()): World {
  const clock = new Clock(), times: number[] = [];
  const fetch = (url: string, init: RequestInit) => {
    times.push(clock.time);
    return server.fetch(url, init);
  };
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: fetch as never, storage: null, env: clock.env, ...options });
  return { server, clock, live, times, since: from => times.filter(t => t >= from).map(t => t - from) };
}

/** A client whose timers are seen. */
function timed(seed: number): { s: Script; timeouts: number[] } {
  const { env } = new Clock(seed), timeouts: number[] = [];
  return { timeouts, s: new Script({ env: { ...env, setTimeout: (f, ms) => (timeouts.push(ms), env.setTimeout(f, ms)) } }) };
}

test("a subscribe that the server has no time for is asked for again after its time; only the second refusal shows", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  const states: string[] = [];
  list.subscribe((_, { state, error }) => states.push(`${state} ${error?.code ?? ""}`));
  await s.hello();
  await s.say(limited(1, 2));
  await s.clock.advance(2499);
  assert.equal(s.sent.length, 1);
  await s.clock.advance(502);
  assert.equal(s.last("subscribe").id, 2);
  assert.deepEqual(states, ["loading "]);
  await s.say(limited(2, 2, "too_many_sessions"));
  assert.deepEqual(states, ["loading ", "loading too_many_sessions"]);
  await s.clock.advance(4000);
  await s.snapshot("e.1", ["1", 1, { title: "a" }]);
  assert.deepEqual(states.at(-1), "live ");
  // A list that lives keeps its rows and its cursor meanwhile.
  await s.again();
  await s.say(limited(3, 1));
  assert.deepEqual([list.status.state, list.status.error, list.rows.length], ["live", undefined, 1]);
  await s.clock.advance(2000);
  assert.equal(s.last("subscribe").cursor, "e.1");
  s.live.close();
});

test("calls that the server has no time for are sent again by themselves, in their order, and later ones wait", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  const errors: string[] = [];
  list.subscribe(() => {});
  list.on("error", e => errors.push(e.code));
  await s.hello();
  await s.snapshot("e.1", ["1", 1, { id: 1, title: "a" }]);
  const calls = () => s.sent.filter(m => m.type === "call" || m.type === "publish").map(m => m.id);
  const a = outcome(list.update("1", { title: "A" })), b = outcome(s.live.channel("c").publish(1)), c = outcome(list.get("1"));
  await settle(2);
  const first = calls();
  assert.equal(first.length, 3);
  await s.say(limited(first[1]!, 3), limited(first[0]!, 1), limited(first[2]!, 1));
  const d = outcome(s.live.call("todos", "archive"));
  await s.clock.advance(1499);
  assert.deepEqual([calls().length, list.rows[0]!.title, list.pending(list.rows[0]!)], [3, "A", true]);
  await s.again();
  assert.equal(calls().length, 3, "a new connection changes nothing");
  await s.say({ type: "resumed", id: s.last("subscribe").id, query: "q", cursor: "e.1" });
  await s.clock.advance(3600);
  assert.deepEqual(calls().slice(3, 6), first);
  const last = calls()[6]!;
  for (const id of first) await s.say({ type: "result", id, cursor: "e.2", row: { key: "1", version: 2, fields: { id: 1, title: "A" } } });
  await s.say({ type: "result", id: last, data: 7 });
  assert.deepEqual([a.is, b.is, c.is, d.is, errors], [{ id: 1, title: "A" }, undefined, { id: 1, title: "A" }, 7, []]);
  s.live.close();
});

test("a call is given up when that lasts for a minute; one that is told to wait for longer at once", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  list.subscribe(() => {});
  await s.hello();
  await s.snapshot("e.1", ["1", 1, { id: 1, title: "a" }]);
  const p = outcome(list.update("1", { title: "A" }));
  await settle(2);
  const begin = s.clock.time, times: number[] = [];
  for (let seen = 0; p.is === "waits"; ) {
    const calls = s.sent.filter(m => m.type === "call");
    if (calls.length > seen) {
      times.push(s.clock.time - begin);
      await s.say(limited(calls.at(-1)!.id, 0));
    }
    seen = calls.length;
    await s.clock.advance(100);
    assert.ok(s.clock.time - begin < 61_000);
  }
  assert.equal(p.is, "rate_limited");
  assert.equal(list.rows[0]!.title, "a", "rolled back");
  assert.ok(times.length >= 4 && times.length <= 25, `not in haste: ${times}`);
  const q = outcome(list.update("1", { title: "B" }));
  await settle(2);
  await s.say(limited(s.last("call").id, 90));
  assert.equal(q.is, "rate_limited");
  // An application's own 429 is its own affair.
  const r = outcome(list.update("1", { title: "B" }));
  await settle(2);
  await s.say(limited(s.last("call").id, undefined, "too_eager"));
  assert.equal(r.is, "too_eager");
  s.live.close();
});

test("a repetition that is given up tells nothing of the first time", async () => {
  const s = new Script();
  const list = s.live.list<Todo>("todos");
  list.subscribe(() => {});
  await s.hello();
  await s.snapshot("e.1", ["1", 1, { id: 1, title: "a" }]);
  const p = outcome(list.update("1", { title: "A" }));
  await s.again();
  await s.say({ type: "resumed", id: 1, query: "q", cursor: "e.1" });
  assert.equal(s.last("call").retry, "e.1");
  await s.say(limited(s.last("call").id, 90));
  assert.deepEqual([p.is, list.rows[0]!.title], ["waits", "A"]);
  await s.change("e.2", "update", "1", 2, { title: "A" }, s.last("call").mutation);
  assert.deepEqual(p.is, { id: 1, title: "A" });
  s.live.close();
});

test("a whole POST of calls is refused: it comes again", async () => {
  const { server, clock, live, since } = world({ transport: "sse" });
  const list = live.list<Todo>("todos");
  list.subscribe(() => {});
  await clock.advance(10);
  // Without a word of the protocol, as a proxy says it.
  server.refusal = { status: 429, problem: {}, headers: { "Retry-After": "4" } };
  const p = outcome(list.create({ title: "a" }));
  const begin = clock.time;
  await clock.advance(1000);
  assert.deepEqual([p.is, list.rows.length, live.status.current.connected, live.status.current.error], ["waits", 1, true, undefined]);
  server.refusal = undefined;
  await clock.advance(4000);
  assert.deepEqual(p.is, { id: 100, title: "a" });
  const [, again] = since(begin);
  assert.ok(again! >= 4500 && again! <= 5000, String(again));
  // Who does not say for how long means something else.
  server.refusal = { status: 429, problem: { code: "too_eager" } };
  const q = outcome(list.create({ title: "b" }));
  await settle();
  assert.equal(q.is, "too_eager");
  live.close();
});

for (const transport of ["longpoll", "shortpoll"] as const) {
  test(`${transport}: a round is refused: once it comes again without a word, then the connection says why`, async () => {
    const { server, clock, live, since } = world({ transport, pollInterval: 500 });
    server.write("1", { title: "a" });
    const list = live.list<Todo>("todos");
    list.subscribe(() => {});
    await clock.advance(1000);
    const statuses: string[] = [];
    live.status.subscribe(({ connected, error }) => statuses.push(`${connected} ${error?.code ?? ""}`));
    server.refusal = { status: 429, problem: { code: "rate_limited", retry_after: 6 } };
    const off = live.list("others").subscribe(() => {});
    if (transport === "longpoll") await settle();
    else await clock.advance(500);
    const begin = clock.time;
    await clock.advance(3000);
    // Neither another subscription nor a look at the tab makes it hurry.
    live.list("more").subscribe(() => {});
    clock.fire("visibilitychange");
    await clock.advance(2900);
    assert.deepEqual([since(begin + 1).length, statuses], [0, ["true "]]);
    await clock.advance(1600);
    assert.equal(since(begin + 1).length, 1);
    assert.deepEqual(statuses, ["true ", "false rate_limited"]);
    server.refusal = undefined;
    clock.fire("online");
    assert.equal(since(begin + 1).length, 1);
    await clock.advance(9000);
    assert.deepEqual(statuses, ["true ", "false rate_limited", "true "]);
    server.write("2", { title: "b" });
    await clock.advance(1000);
    assert.equal(list.rows.length, 2);
    assert.deepEqual([...new Set(server.attempts)], [transport === "longpoll" ? "shortpoll" : transport, ...(transport === "longpoll" ? ["longpoll"] : [])], "no other transport was tried");
    off();
    live.close();
  });
}

test("sse: another stream is refused for now: the old one goes on meanwhile", async () => {
  const { server, clock, live, since } = world({ transport: "sse" });
  const list = live.list<Todo>("todos"), other = live.list<Todo>("others");
  list.subscribe(() => {});
  await clock.advance(10);
  server.refusal = { status: 429, problem: { code: "rate_limited", retry_after: 5 } };
  const begin = clock.time + 1;
  await clock.advance(1);
  other.subscribe(() => {});
  await clock.advance(100);
  server.refusal = undefined;
  live.list("third").subscribe(() => {});
  server.write("1", { title: "a" });
  await clock.advance(4900);
  assert.deepEqual([since(begin), list.rows.length, other.status.state, live.status.current.connected], [[0], 1, "loading", true]);
  await clock.advance(1100);
  assert.equal(since(begin).length, 2);
  assert.equal(other.status.state, "live");
  live.close();
});

test("a server that sends us away says why, and is left in peace for as long as it says, and longer each time", async () => {
  const s = new Script({ transport: undefined as never, transports: ["websocket", "longpoll"], fetch: (() => Promise.reject(new TypeError("no"))) as never });
  s.live.list("todos").subscribe(() => {});
  const pauses: number[] = [];
  for (let i = 0; i < 14; i++) {
    await s.hello();
    const { length } = s.sockets;
    s.socket.send({ type: "reconnect", after: 1000, problem: { status: 503, code: "overloaded", detail: "too much" } });
    const begin = s.clock.time;
    assert.ok(s.socket.closed);
    assert.deepEqual([s.live.status.current.connected, s.live.status.current.error?.code], [false, "overloaded"]);
    s.clock.fire("visibilitychange");
    while (s.sockets.length === length) await s.clock.advance(100);
    pauses.push(s.clock.time - begin);
  }
  assert.ok(pauses.every((p, i) => p >= 1500 && p <= 1100 + Math.min(30_000, 500 * 2 ** (i + 1))), pauses.join());
  assert.ok(pauses.slice(6).some(p => p > 15_000), pauses.join());
  await s.hello();
  assert.equal(s.live.status.current.error, undefined);
  s.live.close();
});

test("a server's reconnect is obeyed to the millisecond, even when it breaks before", async () => {
  for (const early of [false, true]) {
    for (const after of [1, 137, 1999]) {
      const s = new Script();
      await s.hello();
      s.socket.send({ type: "reconnect", after });
      const left = s.socket;
      await settle(2);
      if (early) left.drop();
      s.clock.fire("visibilitychange");
      await s.clock.advance(after - 1);
      assert.equal(s.sockets.length, 1);
      await s.clock.advance(1);
      assert.equal(s.sockets.length, 2);
      assert.equal(left.closed, early, "it goes on until the next one has got through");
      s.live.close();
    }
  }
});

test("a server that says to come back at once, again and again, is not stormed", async () => {
  const s = new Script();
  for (let i = 0; i < 100 && s.clock.time < 1_700_000_060_000; i++) {
    const { length } = s.sockets;
    await s.hello();
    s.socket.send({ type: "reconnect", after: 0 });
    while (s.sockets.length === length) await s.clock.advance(100);
  }
  assert.ok(s.sockets.length < 30, `${s.sockets.length} connections in a minute`);
  s.live.close();
});

test("a crowd whose server is gone comes back spread, each at its own moment", async () => {
  const times: number[] = [];
  for (let seed = 1; seed <= 200; seed++) {
    // All clocks stand at the same moment, but each has its own chance.
    const { s, timeouts } = timed(seed * 7919);
    await s.hello();
    s.socket.drop();
    times.push(timeouts.at(-1)!);
    s.live.close();
  }
  assert.ok(Math.min(...times) >= 500 && Math.max(...times) <= 1000);
  const busiest = Math.max(...Array.from({ length: 10 }, (_, i) => times.filter(t => Math.min(9, Math.floor((t - 500) / 50)) === i).length));
  assert.ok(busiest <= 40, `${busiest} of 200 within a tenth of the time`);
});

test("a frame and a POST hold no more than the server takes at once", async () => {
  const s = new Script();
  const texts: string[] = [];
  for (let i = 0; i < 128; i++) s.live.list("todos", { where: { n: i, title: "é".repeat(i % 5 ? 10 : 5000) } }).subscribe(() => {});
  const results = Array.from({ length: 250 }, (_, i) => outcome(s.live.call("todos", "archive", { key: i, data: i % 50 ? 1 : "€".repeat(15_000) })));
  s.heard = text => texts.push(text);
  await s.hello();
  for (const text of texts) {
    assert.ok(text.split("\n").length <= 100);
    assert.ok(Buffer.byteLength(text) <= 65_536, String(Buffer.byteLength(text)));
  }
  assert.deepEqual(s.sent.map(m => m.id).sort((a, b) => a - b), Array.from({ length: 378 }, (_, i) => i + 1), "each once");
  assert.deepEqual(s.sent.filter(m => m.type === "call").map(m => m.key), Array.from({ length: 250 }, (_, i) => String(i)), "in order");
  assert.ok(results.every(r => r.is === "waits"));
  s.live.close();

  const bodies: string[] = [], server = new Server(), clock = new Clock();
  const fetch = (url: string, init: RequestInit) => {
    bodies.push(String(init.body));
    return server.fetch(url, init);
  };
  const live = connect("http://host.test/live/", { transport: "shortpoll", fetch: fetch as never, storage: null, env: clock.env });
  const all = Array.from({ length: 250 }, (_, i) => outcome(live.call("todos", "archive", { key: i, data: i % 50 ? {} : { text: "€".repeat(15_000) } })));
  await clock.advance(1000);
  assert.ok(all.every((r, i) => (r.is as { archived: string }).archived === (i ? String(i) : "0")));
  for (const body of bodies) assert.ok(body.split("\n").length <= 100 && Buffer.byteLength(body) <= 65_536);
  live.close();
});

test("more subscriptions than a request may hold: the newest wait, the others live", async () => {
  for (const transport of ["sse", "longpoll", "shortpoll"] as const) {
    const server = new Server();
    const subscribes = (init: RequestInit) => String(init.body).split("\n").filter(l => (JSON.parse(l) as ClientMessage).type === "subscribe").length;
    const fetch = async (url: string, init: RequestInit) => {
      if (subscribes(init) <= 128) return server.fetch(url, init);
      return Response.json({ status: 413, code: "batch_too_large" }, { status: 413, headers: { "Content-Type": "application/problem+json" } });
    };
    const clock = new Clock();
    const live = connect("http://host.test/live/", { transport, fetch: fetch as never, storage: null, env: clock.env });
    const lists = Array.from({ length: 131 }, (_, i) => live.list<Todo>("todos", { where: { title: "t" + i } }));
    const offs = lists.map(l => l.subscribe(() => {}));
    await clock.advance(100);
    assert.ok(live.status.current.connected);
    assert.deepEqual(lists.map(l => `${l.status.state} ${l.status.error?.code}`), lists.map((_, i) => (i < 128 ? "live undefined" : "loading batch_too_large")));
    await clock.advance(1000);
    assert.equal(lists.filter(l => l.status.state === "live" && !l.status.error).length, 128, "they tried, and disturbed nobody");
    offs.slice(0, 3).forEach(off => off());
    await clock.advance(10_000);
    assert.ok(lists.slice(3).every(l => l.status.state === "live" && !l.status.error));
    live.close();
  }
});

test("subscriptions that are too long for one request: some live, and the connection does", async () => {
  const server = new Server(), clock = new Clock();
  const fetch = async (url: string, init: RequestInit) => {
    if (String(init.body).length <= 4000) return server.fetch(url, init);
    return Response.json({ status: 413, code: "message_too_large" }, { status: 413, headers: { "Content-Type": "application/problem+json" } });
  };
  const live = connect("http://host.test/live/", { transport: "longpoll", fetch: fetch as never, storage: null, env: clock.env });
  const lists = Array.from({ length: 9 }, (_, i) => live.list<Todo>("todos", { where: { title: String(i).repeat(700) } }));
  for (const l of lists) l.subscribe(() => {});
  await clock.advance(200);
  assert.deepEqual(lists.map(l => `${l.status.state} ${l.status.error?.code}`), lists.map((_, i) => (i < 4 ? "live undefined" : "loading message_too_large")));
  assert.ok(live.status.current.connected);
  live.close();
});

test("an absurd time is not over at once", async () => {
  const { s, timeouts } = timed(1);
  s.live.list("todos").subscribe(() => {});
  await s.hello();
  await s.say(limited(1, 1e12));
  assert.equal(timeouts.at(-1), 2 ** 31 - 1, "what is more would be");
  s.live.close();
});
