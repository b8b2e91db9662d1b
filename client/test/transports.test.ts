// What every transport does, and what those do that are not a WebSocket.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock, settle } from "./clock.ts";
import { outcome } from "./script.ts";
import { Server } from "./server.ts";
import { transports, world, type Todo } from "./world.ts";

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
