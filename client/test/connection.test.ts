import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { Change, List, Live, Options, TransportName } from "../src/types.ts";
import { Clock, settle } from "./clock.ts";
import { outcome } from "./script.ts";
import { Server, store } from "./server.ts";

type Todo = { id?: number; title: string; done?: boolean };

interface World {
  server: Server;
  clock: Clock;
  live: Live;
  list: List<Todo>;
  /** Each change that the list's handler saw: op, key, cursor. */
  seen: string[];
  titles(): string;
  status(): string;
  /** Lets time pass in which the server says now and then that it is there. */
  pass(ms: number): Promise<void>;
}

function world(options: Options = {}, server = new Server(), clock = new Clock()): World {
  const live = connect("http://host.test/live/", {
    WebSocket: server.WebSocket, fetch: server.fetch as typeof fetch, storage: null, env: clock.env, ...options,
  });
  const list = live.list<Todo>("todos", { where: { done: false } });
  const seen: string[] = [];
  list.on("change", (c: Change<Todo>) => seen.push("key" in c ? `${c.op} ${c.key} ${c.cursor}` : c.op === "resync" ? "resync " + c.reason : c.op));
  list.subscribe(() => {});
  return {
    server, clock, live, list, seen,
    async pass(ms) {
      for (; ms > 0; ms -= 25_000) {
        server.say({ type: "cursor", cursor: server.cursor() });
        await clock.advance(Math.min(ms, 25_000));
      }
    },
    titles: () => list.rows.map(r => r.title + (list.pending(r) ? "?" : "")).join(" "),
    status: () => `${live.status.current.transport ?? "none"}${live.status.current.error ? " " + live.status.current.error.code : ""}`,
  };
}

const transports: TransportName[] = ["websocket", "sse", "longpoll", "shortpoll"];

for (const transport of transports) {
  test(`${transport}: rows, changes, writes, channels`, async () => {
    const w = world({ transport });
    const { server, clock, list } = w;
    server.write("1", { title: "a", done: false });
    const heard: unknown[] = [];
    await clock.advance(0);
    assert.equal(w.status(), transport);
    assert.equal(w.titles(), "a");
    const ch = w.live.channel("chat:7");
    ch.on(m => heard.push(m));
    await clock.advance(10);
    server.write("2", { title: "b", done: false });
    server.write("1", { title: "A" });
    server.publish("chat:7", "hi");
    server.publish("chat:8", "psst");
    await clock.advance(2000);
    assert.equal(w.titles(), "A b");
    assert.deepEqual(w.seen, ["snapshot", "create 2 ep.0002", "update 1 ep.0003"]);
    assert.deepEqual(heard, ["hi"]);

    const created = outcome(list.create({ title: "c", done: false }));
    assert.equal(w.titles(), "A b c?");
    await settle();
    assert.equal(w.titles(), "A b c");
    assert.deepEqual(created.is, { id: 100, title: "c", done: false });
    const updates = [outcome(list.update(1, { title: "x" })), outcome(list.update(1, { title: "y" }))];
    assert.equal(w.titles(), "y? b c");
    await settle(30);
    assert.deepEqual(updates.map(u => (u.is as Todo).title), ["x", "y"]);
    assert.equal(w.titles(), "y b c");
    // Leaves the list's where: no flicker, nothing left hanging.
    const left = outcome(list.update(2, { done: true }));
    const foreign = outcome(list.create({ title: "elsewhere", done: true }));
    await settle(30);
    assert.deepEqual([(left.is as Todo).done, (foreign.is as Todo).title], [true, "elsewhere"]);
    assert.equal(w.titles(), "y c");
    const refused = outcome(list.create({ title: "" }));
    const published = outcome(ch.publish("mine"));
    const deleted = outcome(list.delete(100));
    await clock.advance(3000);
    assert.deepEqual([refused.is, published.is, deleted.is], ["invalid_value", undefined, undefined]);
    assert.equal(w.titles(), "y");
    assert.deepEqual(heard, ["hi", "mine"]);
    assert.deepEqual(w.seen.map(s => s.split(" ")[0]), ["snapshot", "create", "update", "create", "update", "update", "leave", "delete"]);
    w.live.close();
    await settle();
    assert.equal(clock.pending, 0);
    assert.equal(server.sessions.size, 0);
  });

  test(`${transport}: after a break it goes on from the cursor`, async () => {
    const w = world({ transport });
    const { server, clock } = w;
    await clock.advance(0);
    server.write("1", { title: "a", done: false });
    await clock.advance(2000);
    server.down = true;
    server.break();
    server.wake();
    await clock.advance(2500);
    assert.equal(w.status(), "none connection_lost");
    const offline = outcome(w.list.create({ title: "c", done: false }));
    server.write("2", { title: "b", done: false });
    await clock.advance(60_000);
    assert.equal(w.titles(), "a c?");
    server.down = false;
    await clock.advance(21_000);
    assert.equal(w.status(), transport);
    assert.equal(w.titles(), "a b c");
    assert.deepEqual(offline.is, { id: 100, title: "c", done: false });
    assert.deepEqual(w.seen, ["snapshot", "create 1 ep.0001", "create 2 ep.0002", "create 100 ep.0003"]);
    w.live.close();
  });

  test(`${transport}: when history no longer covers the cursor, one resync`, async () => {
    const w = world({ transport });
    const { server, clock } = w;
    server.write("1", { title: "a", done: false });
    await clock.advance(0);
    server.down = true;
    server.break();
    server.wake();
    await clock.advance(3000);
    server.write("1", undefined);
    server.write("2", { title: "b", done: false });
    server.trim();
    server.down = false;
    await clock.advance(21_000);
    assert.equal(w.titles(), "b");
    assert.deepEqual(w.seen, ["snapshot", "resync history"]);
    w.live.close();
  });

  test(`${transport}: a lost answer is asked for again, and nothing done twice`, async () => {
    const w = world({ transport });
    const { server, clock } = w;
    await clock.advance(0);
    server.deaf = true;
    const p = outcome(w.list.create({ title: "c", done: false }));
    await settle();
    server.deaf = false;
    await clock.advance(10_000);
    assert.deepEqual(p.is, { id: 100, title: "c", done: false });
    assert.deepEqual([w.titles(), server.rows.size], ["c", 1]);
    // Where the echo came first there was nothing to ask for.
    const [first, again, ...more] = server.calls;
    if (again) assert.deepEqual(again, { ...first, retry: "ep.0000" });
    assert.deepEqual([!!again, more], [transport === "shortpoll", []]);
    w.live.close();
  });
}

for (const transport of transports.slice(1)) {
  test(`${transport}: what is subscribed while the first answer is on its way is asked for at once after it`, async () => {
    const w = world({ transport });
    while (!w.server.attempts.length) await Promise.resolve();
    w.live.channel("x").on(() => {});
    await w.clock.advance(0);
    assert.equal(w.live.channel("x").status.state, "live");
    w.live.close();
  });

  test(`${transport}: calls are sent one POST after another`, async () => {
    const w = world({ transport });
    const { server } = w;
    await settle();
    server.hold = true;
    const calls = () => server.received.filter(r => r.m.type === "call").length;
    void w.list.create({ title: "a", done: false });
    await settle();
    void w.list.create({ title: "b", done: false });
    void w.list.create({ title: "c", done: false });
    await settle();
    assert.equal(calls(), 1);
    server.hold = false;
    server.held.forEach(answer => answer());
    await settle();
    assert.equal(calls(), 3);
    assert.equal(server.attempts.filter(a => a === "call").length, 2);
    assert.equal(w.titles(), "a b c");
    w.live.close();
  });

  test(`${transport}: a call that does not get there is tried again, with pauses, while the rest goes on`, async () => {
    const w = world({ transport });
    await settle();
    w.server.blocked.add("call");
    const p = outcome(w.list.create({ title: "a", done: false }));
    await Promise.resolve();
    // It is on its way, and this one waits behind it.
    void w.list.create({ title: "c", done: false });
    await w.clock.advance(60_000);
    assert.deepEqual([p.is, w.titles()], ["waits", "a? c?"]);
    const tries = w.server.attempts.filter(a => a === "call").length;
    assert.ok(tries > 3 && tries < 15, `${tries} tries in a minute`);
    w.server.write("1", { title: "b", done: false });
    await w.clock.advance(3000);
    assert.equal(w.titles(), "b a? c?");
    w.server.blocked.delete("call");
    await w.clock.advance(21_000);
    assert.deepEqual([p.is, w.titles()], [{ id: 100, title: "a", done: false }, "b a c"]);
    w.live.close();
  });
}

test("the round of a call moves its list forward, and never starts it anew", async () => {
  const server = new Server(), clock = new Clock();
  server.write("1", { title: "a", done: false });
  // Between its question and its answer history is trimmed for the round, and the stream has gone on.
  const fetch: typeof server.fetch = async (url, init) => {
    const body = String(init?.body);
    if (!body.includes('"call"')) return server.fetch(url, init);
    const [subscribe, call] = body.split("\n").map(l => JSON.parse(l));
    const rows = [...server.rows.values()], cursor = server.cursor();
    server.write("2", { title: "b", done: false });
    await settle();
    const out = [{ type: "resync", id: subscribe.id, query: "z", cursor, reason: "history", rows }, { type: "result", id: call.id, row: rows[0] }, { type: "cursor", cursor: server.cursor(99) }];
    return new Response(out.map(m => JSON.stringify(m)).join("\n"), { headers: { "Content-Type": "application/x-ndjson" } });
  };
  const w = world({ transport: "sse", fetch: fetch as never }, server, clock);
  await settle();
  void w.list.update(1, { title: "a" });
  await settle(40);
  server.write("3", { title: "c", done: false });
  await settle();
  assert.equal(w.titles(), "a b c");
  assert.deepEqual(w.seen, ["snapshot", "create 2 ep.0002", "create 3 ep.0003"]);
  w.live.close();
});

test("an update that changed nothing, answered late, does not outlive its row", async () => {
  const w = world({ transport: "longpoll" });
  const { server, clock, list } = w;
  for (const title of ["a", "b", "c"]) server.write("1", { title, done: false });
  await clock.advance(10);
  server.hold = true;
  const p = outcome(list.update("1", { title: "c" }));
  await clock.advance(10);
  server.write("1", undefined);
  server.write("1", { title: "new", done: false });
  await clock.advance(10);
  server.held.forEach(answer => answer());
  await clock.advance(10);
  assert.deepEqual(p.is, { id: 1, title: "c", done: false });
  assert.equal(w.titles(), "new");
  w.live.close();
});

test("what does not get through gives way to the next", async () => {
  const server = new Server(), clock = new Clock(), storage = store();
  for (const t of transports.slice(0, 3)) server.blocked.add(t);
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as typeof fetch, storage, env: clock.env });
  live.list("todos").subscribe(() => {});
  const used: TransportName[] = [];
  live.status.subscribe(({ transport }) => transport && transport !== used.at(-1) && used.push(transport));
  // The stream is open but silent: only time tells.
  await clock.advance(4400);
  assert.deepEqual(server.attempts, ["websocket", "sse"]);
  await clock.advance(200);
  assert.deepEqual(used, ["longpoll"], "its first round does not wait");
  // Its waiting rounds are cut off: after three it is given up.
  await clock.advance(20_000);
  assert.equal(live.status.current.transport, "shortpoll");
  assert.deepEqual(storage.data, { "live http://host.test/live/": "shortpoll" });
  live.close();

  // The next page begins with what worked.
  server.attempts.length = 0;
  const again = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as typeof fetch, storage, env: clock.env });
  await settle();
  assert.deepEqual(server.attempts, ["shortpoll"]);
  assert.equal(again.status.current.transport, "shortpoll");
  // And tries the others, which were not tried here yet, soon.
  server.blocked.clear();
  await clock.advance(3000);
  assert.equal(again.status.current.transport, "websocket");
  assert.deepEqual(storage.data, { "live http://host.test/live/": "websocket" });
  again.close();
});

test("a WebSocket that never opens is given up in time", async () => {
  const server = new Server();
  server.blackholed = true;
  const w = world({}, server);
  await w.clock.advance(4000);
  assert.equal(w.status(), "none");
  await w.clock.advance(600);
  assert.equal(w.status(), "sse");
  // What failed is tried again from time to time, beside the stream that works; and at once when the network changed.
  server.attempts.length = 0;
  await w.pass(200_000);
  assert.deepEqual(server.attempts, []);
  await w.pass(200_000);
  assert.deepEqual(server.attempts, ["websocket"]);
  assert.equal(w.status(), "sse");
  server.blackholed = false;
  w.clock.fire("online");
  await settle();
  assert.equal(w.status(), "websocket");
  assert.deepEqual(w.seen, ["snapshot"]);
  w.live.close();
});

test("without a WebSocket class the stream is first", async () => {
  const server = new Server();
  const w = world({ WebSocket: undefined as never }, server);
  await settle();
  // Node 20 has none; where there is one, it would be tried at a host that does not exist.
  if (!("WebSocket" in globalThis)) assert.deepEqual(server.attempts, ["sse"]);
  w.live.close();
  assert.throws(() => connect("http://host.test/", { transports: [] }), /no transport/);
});

test("what worked and broke is tried as itself first, and found again soon after the server was away", async () => {
  const w = world();
  const { server, clock } = w;
  await clock.advance(60_000);
  server.attempts.length = 0;
  server.break();
  await clock.advance(1100);
  assert.deepEqual(server.attempts, ["websocket"]);
  assert.equal(w.status(), "websocket");
  await clock.advance(60_000);
  // Away for long, and back in the middle of a round of attempts: for a while a lower one may be in use.
  server.blocked.add("websocket");
  server.break();
  for (let i = 0; i < 100 && w.status() !== "sse"; i++) await clock.advance(100);
  assert.equal(w.status(), "sse");
  server.blocked.clear();
  await clock.advance(3000);
  assert.equal(w.status(), "websocket");
  w.live.close();
});

test("one that says hello and breaks again and again is given up, and not tried soon", async () => {
  const w = world();
  const { server, clock } = w;
  await clock.advance(60_000);
  for (let i = 0; i < 3; i++) {
    server.break();
    await clock.advance(3000);
  }
  // The first counted from a stable connection.
  await clock.advance(5000);
  assert.equal(w.status(), "sse");
  await w.pass(60_000);
  assert.equal(w.status(), "sse");
  w.live.close();
});

test("a server that is not there is tried for ever, with pauses that grow up to 30 s", async () => {
  const server = new Server();
  server.down = true;
  const w = world({}, server);
  const times: number[] = [];
  const attempts = server.attempts;
  for (let i = 0, n = 0; i < 6000; i++) {
    await w.clock.advance(100);
    if (attempts.length > n) times.push(w.clock.time);
    n = attempts.length;
  }
  const pauses = times.slice(1).map((t, i) => t - times[i]!);
  assert.ok(pauses.every(p => p >= 400 && p <= 30_200), pauses.join());
  assert.ok(pauses[0]! <= 1200 && pauses.some(p => p > 20_000), pauses.join());
  assert.deepEqual(attempts.slice(0, 8), ["websocket", "sse", "shortpoll", "shortpoll", "websocket", "sse", "shortpoll", "shortpoll"]);
  server.down = false;
  // At once when the network comes back, or when somebody looks.
  w.clock.fire("online");
  await settle();
  assert.equal(w.status(), "websocket");
  w.live.close();
});

test("a tab that is looked at again reconnects at once, and asks whether the server is there", async () => {
  const w = world();
  const { server, clock } = w;
  await clock.advance(0);
  server.down = true;
  server.break();
  await clock.advance(30_000);
  server.down = false;
  clock.isHidden = true;
  clock.fire("visibilitychange");
  await settle();
  assert.match(w.status(), /^none/);
  clock.isHidden = false;
  clock.fire("visibilitychange");
  await settle();
  assert.equal(w.status(), "websocket");
  // The socket is dead, and nobody knows.
  const [session] = [...server.sessions];
  session!.send = () => {};
  clock.fire("visibilitychange");
  await clock.advance(2900);
  assert.equal(w.status(), "websocket");
  await clock.advance(1500);
  assert.equal(w.status(), "websocket");
  assert.notEqual([...server.sessions][0], session);
  w.live.close();
});

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

test("a refusal by the application's middleware shows, and is tried again", async () => {
  const server = new Server();
  server.refusal = { status: 401, problem: { code: "who_are_you", detail: "log in" } };
  server.blocked.add("websocket");
  const w = world({}, server);
  await w.clock.advance(30_000);
  const { error } = w.live.status.current;
  assert.deepEqual([error?.code, error?.status, error?.message], ["who_are_you", 401, "log in"]);
  server.refusal = undefined;
  await w.clock.advance(21_000);
  assert.equal(w.status(), "sse");
  // A call that the middleware refuses did not happen.
  server.refusal = { status: 403, problem: {} };
  const p = outcome(w.list.create({ title: "c", done: false }));
  await settle();
  assert.equal(p.is, "http");
  assert.equal(w.titles(), "");
  w.live.close();
});

test("an answer that is none of live is no transport", async () => {
  const clock = new Clock();
  const login = async () => new Response("<html>log in</html>", { headers: { "Content-Type": "text/html" } });
  const live = connect("http://host.test/live/", { transport: "shortpoll", fetch: login as never, storage: null, env: clock.env });
  await clock.advance(100);
  assert.deepEqual([live.status.current.connected, live.status.current.error?.code], [false, "not_live"]);
  live.close();
});

test("a server's reconnect: the next connection is made before the old one ends, and no answer is lost", async () => {
  const w = world({ transport: "websocket" });
  const { server, clock } = w;
  await clock.advance(0);
  server.say({ type: "reconnect", after: 1000 });
  server.hold = true;
  const p = outcome(w.list.create({ title: "c", done: false }));
  await clock.advance(1100);
  assert.equal(server.sessions.size, 2);
  assert.equal(w.titles(), "c", "the echo came over the new one");
  assert.equal(p.is, "waits");
  server.held.forEach(answer => answer());
  await settle();
  assert.deepEqual(p.is, { id: 100, title: "c", done: false });
  await clock.advance(5000);
  assert.equal(server.sessions.size, 1);
  assert.deepEqual(w.seen, ["snapshot", "create 100 ep.0001"]);
  w.live.close();
});

test("a server's reconnect: as long as there is no new connection the old one goes on", async () => {
  const w = world({ transport: "websocket" });
  const { server, clock } = w;
  await clock.advance(0);
  server.say({ type: "reconnect", after: 1000 });
  server.blocked.add("websocket");
  await clock.advance(6000);
  assert.ok(server.attempts.length >= 3, server.attempts.join());
  server.write("1", { title: "a", done: false });
  await settle();
  assert.deepEqual([w.titles(), w.status()], ["a", "websocket"]);
  server.blackholed = true;
  await clock.advance(20_000);
  server.break();
  await settle();
  assert.equal(w.status(), "none connection_lost");
  server.blocked.clear();
  server.blackholed = false;
  await clock.advance(20_000);
  assert.equal(w.status(), "websocket");
  w.live.close();
});

test("of the better ones each is tried, best first", async () => {
  const server = new Server(), storage = store();
  storage.setItem("live http://host.test/live/", "shortpoll");
  server.blocked.add("websocket");
  const w = world({ storage }, server);
  await w.clock.advance(0);
  assert.equal(w.status(), "shortpoll");
  await w.clock.advance(3000);
  assert.equal(w.status(), "sse");
  assert.deepEqual(server.attempts.filter(a => a !== "shortpoll"), ["websocket", "sse"]);
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
