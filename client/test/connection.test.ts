// Which transport is used, and when another is tried.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { TransportName } from "../src/types.ts";
import { Clock, settle } from "./clock.ts";
import { outcome } from "./script.ts";
import { Server, store } from "./server.ts";
import { transports, world } from "./world.ts";

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
