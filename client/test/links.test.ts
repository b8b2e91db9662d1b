// What is peculiar to the socket, the stream and the polls.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import { Clock, settle } from "./clock.ts";
import { Server } from "./server.ts";
import { world, type Todo } from "./world.ts";

test("silence: a socket is asked, a stream is opened anew", async () => {
  for (const [transport, quiet] of [["websocket", 44_000], ["sse", 41_000]] as const) {
    const w = world({ transport });
    const { server, clock } = w;
    await clock.advance(0);
    const [session] = [...server.sessions];
    session!.send = () => {};
    await clock.advance(quiet);
    server.write("1", { title: "a", done: false });
    await clock.advance(1000);
    assert.notEqual([...server.sessions][0], session, transport);
    assert.equal(w.titles(), "a");
    // A server that says something at times is left alone.
    const n = server.attempts.length;
    for (let i = 0; i < 10; i++) {
      await clock.advance(25_000);
      server.say({ type: "cursor", cursor: server.cursor() });
    }
    assert.equal(server.attempts.length, n);
    w.live.close();
  }
});

test("the stream: a change of the subscriptions opens a new one, and the old one goes on until that has said hello", async () => {
  const w = world({ transport: "sse" });
  const { server, clock, live } = w;
  await clock.advance(0);
  assert.deepEqual(server.attempts, ["sse"]);
  const offs = ["x", "y"].map(name => live.channel(name).on(() => {}));
  await settle(1);
  server.write("1", { title: "a", done: false });
  await settle();
  assert.equal(w.titles(), "a");
  assert.deepEqual(server.attempts, ["sse", "sse"], "both in one");
  assert.equal(server.sessions.size, 1);
  for (const off of offs) off();
  await clock.advance(1000);
  assert.equal(server.sessions.size, 1);
  assert.equal([...server.sessions][0]!.subs.size, 1);
  assert.deepEqual(w.seen, ["snapshot", "create 1 ep.0001"]);
  w.live.close();
});

test("the stream: a start that another stream has overtaken is no start", async () => {
  const clock = new Clock(), asked: Record<string, unknown>[][] = [], streams: ReadableStreamDefaultController[] = [];
  const fetch = async (_: string, init: RequestInit) => {
    asked.push(String(init.body).split("\n").map(l => JSON.parse(l) as never));
    return new Response(new ReadableStream({ start: c => void streams.push(c) }), { headers: { "Content-Type": "text/event-stream" } });
  };
  const say = async (stream: number, ...all: object[]) => {
    for (const m of all) streams[stream]!.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(m)}\n\n`));
    await settle(4);
  };
  const live = connect("http://host.test/live/", { transport: "sse", fetch: fetch as never, storage: null, env: clock.env });
  const list = live.list<Todo>("todos"), seen: string[] = [];
  list.on("change", c => seen.push(`${c.op} ${c.cursor}`));
  await clock.advance(0);
  const hello = { type: "hello", protocol: 1, session: "s" }, row = (version: number) => ({ key: "1", version, fields: { title: "v" + version } });
  await say(0, hello);
  // The second stream is asked for before the first has said a word of the list.
  live.channel("a").on(() => {});
  await settle(4);
  await say(0, { type: "snapshot", id: 1, query: "q", cursor: "e.1", rows: [row(1)] }, { type: "change", query: "q", cursor: "e.2", changes: [{ op: "update", ...row(2) }] });
  await say(1, hello, { type: "snapshot", id: 1, query: "q", cursor: "e.1", rows: [row(1)] }, { type: "change", query: "q", cursor: "e.2", changes: [{ op: "update", ...row(2) }] });
  assert.deepEqual(seen, ["snapshot e.1", "update e.2"]);
  assert.deepEqual(asked.map(a => a.filter(m => m["router"]).map(m => m["cursor"])), [[undefined], [undefined], ["e.2"]]);
  const again = asked[2]!.find(m => m["router"])!["id"];
  // The third is refused the old cursor with a new start, which is of before the second has gone on.
  await say(1, { type: "cursor", cursor: "e.3" });
  assert.equal(streams.length, 3);
  await say(2, hello, { type: "resumed", id: again, query: "q", cursor: "e.2" });
  live.channel("b").on(() => {});
  await settle(4);
  await say(2, { type: "change", query: "q", cursor: "e.5", changes: [{ op: "update", ...row(3) }] });
  await say(3, hello, { type: "resync", id: again, query: "q", cursor: "e.4", reason: "history", rows: [row(2)] }, { type: "change", query: "q", cursor: "e.5", changes: [{ op: "update", ...row(3) }] });
  assert.deepEqual(seen, ["snapshot e.1", "update e.2", "update e.5"]);
  assert.deepEqual(asked[4]!.filter(m => m["router"]).map(m => m["cursor"]), ["e.5"]);
  // Where nothing moved meanwhile the server's word counts, whatever it is.
  await say(4, hello, { type: "resync", id: asked[4]!.find(m => m["router"])!["id"], query: "q", cursor: "e.4", reason: "history", rows: [row(2)] });
  assert.deepEqual(seen.slice(3), ["resync e.4"]);
  live.close();
});

test("the long-poll: one request at a time; nothing is asked when nothing is subscribed", async () => {
  const clock = new Clock(), server = new Server();
  const open = new Set<AbortSignal>();
  const living = () => [...open].filter(s => !s.aborted).length;
  const fetch = async (url: string, init: RequestInit) => {
    assert.equal(living(), 0);
    open.add(init.signal!);
    try {
      return await server.fetch(url, init);
    } finally {
      open.delete(init.signal!);
    }
  };
  const live = connect("http://host.test/live/", { transport: "longpoll", fetch: fetch as never, storage: null, env: clock.env, wait: 20 });
  await clock.advance(60_000);
  assert.deepEqual(server.received.map(r => r.m.type), ["ping"]);
  assert.equal(live.status.current.connected, true);
  const off = live.list("todos").subscribe(() => {});
  await clock.advance(1);
  const other = live.channel("x").on(() => {});
  await clock.advance(1);
  server.write("1", { title: "a" });
  await clock.advance(1);
  assert.equal(live.list("todos").rows.length, 1);
  assert.equal(living(), 1);
  off();
  other();
  await clock.advance(60_000);
  assert.equal(living(), 0);
  live.close();
});

test("short polls are slower in a hidden tab", async () => {
  const w = world({ transport: "shortpoll", pollInterval: 1000 });
  await w.clock.advance(10_100);
  const seen = w.server.attempts.length;
  assert.equal(seen, 11);
  w.clock.isHidden = true;
  await w.clock.advance(10_100);
  assert.ok(w.server.attempts.length - seen <= 3);
  w.live.close();
});

test("a poll that is told to reconnect rests for that long", async () => {
  const clock = new Clock();
  let rounds = 0;
  const fetch = async (_: string, init: RequestInit) => {
    rounds++;
    const subscribed = String(init.body).includes("cursor");
    const head = subscribed ? { type: "resumed", id: 1, query: "q", cursor: "e.1" } : { type: "snapshot", id: 1, query: "q", cursor: "e.1", rows: [] };
    return new Response([head, { type: "reconnect", after: 1200 }].map(m => JSON.stringify(m)).join("\n"), { headers: { "Content-Type": "application/x-ndjson" } });
  };
  const live = connect("http://host.test/live/", { transport: "longpoll", fetch: fetch as never, storage: null, env: clock.env });
  live.list("todos").subscribe(() => {});
  await clock.advance(12_100);
  assert.equal(rounds, 11);
  live.close();
});

test("a poll shows that the broker is away as long as its rounds say so, whatever the answers to calls say", async () => {
  const clock = new Clock(), seen: boolean[] = [];
  let away = false;
  const fetch = async (_: string, init: RequestInit) => {
    const call = /"id":(\d+)[^}]*"verb":"ring"/.exec(String(init.body) + "");
    const head = call ? { type: "result", id: +call[1]! } : { type: "snapshot", id: 1, query: "q", cursor: "e.1", rows: [] };
    return new Response([...(away || call ? [{ type: "status", degraded: true }] : []), head].map(m => JSON.stringify(m)).join("\n"), { headers: { "Content-Type": "application/x-ndjson" } });
  };
  const live = connect("http://host.test/live/", { transport: "shortpoll", fetch: fetch as never, storage: null, env: clock.env });
  live.status.subscribe(s => seen.at(-1) !== s.degraded && seen.push(s.degraded));
  live.list("todos").subscribe(() => {});
  await clock.advance(100);
  await live.call("todos", "ring");
  assert.deepEqual(seen, [false]);
  away = true;
  await clock.advance(9000);
  assert.deepEqual(seen, [false, true]);
  away = false;
  await clock.advance(3000);
  assert.deepEqual(seen, [false, true, false]);
  live.close();
});

test("headers and the URL's own query go with each request", async () => {
  const clock = new Clock();
  const asked: string[] = [];
  const fetch = async (url: string, init: RequestInit) => {
    asked.push(`${url} ${new Headers(init.headers).get("Authorization")} ${init.credentials}`);
    throw new TypeError("x");
  };
  let n = 0;
  const live = connect("http://host.test/live/?team=1", {
    transport: "shortpoll", fetch: fetch as never, storage: null, env: clock.env, headers: () => ({ Authorization: "t" + ++n }),
  });
  await clock.advance(2000);
  assert.deepEqual(asked.slice(0, 2), ["http://host.test/live/?team=1&protocol=1 t1 same-origin", "http://host.test/live/?team=1&protocol=1 t2 same-origin"]);
  live.close();
});
