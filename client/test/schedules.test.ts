// Thousands of schedules: everything that is said is under way until a schedule lets it arrive, so that answers overtake news, old
// connections speak up after new ones, and connections break with anything in them. Whatever happens, the handlers see the log.
//
// SCHEDULES=100000 npm test runs as many; SCHEDULE=4711 that one alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { Change, Stop, TransportName } from "../src/types.ts";
import type { WireRow } from "../src/wire.ts";
import { Clock, settle } from "./clock.ts";
import { Net } from "./net.ts";
import { outcome } from "./script.ts";
import { Server } from "./server.ts";

type Todo = { id: number; done: boolean; n: number };

const transports: TransportName[] = ["websocket", "sse", "longpoll", "shortpoll"];
const open = (r: WireRow | undefined) => r?.fields["done"] === false;
const place = (cursor: string) => parseInt(cursor.split(".")[1]!, 36);

// Handlers that throw: what they throw is reported, and that is all.
class Thrown extends Error {}
let others = 0;
globalThis.reportError = e => {
  if (!(e instanceof Thrown)) others++;
};

async function run(seed: number): Promise<void> {
  const clock = new Clock(seed * 2654435761), server = new Server();
  clock.turns = 3;
  const chance = (n: number) => Math.floor(clock.random() * n);
  const net = new Net(server, chance);
  for (let i = 0; i < 4; i++) server.write(String(i), { done: i === 3, n: i });
  const some = chance(4);
  const live = connect("http://host.test/live/", {
    WebSocket: net.WebSocket, fetch: net.fetch as never, storage: null, env: clock.env, pollInterval: 300,
    transports: some ? transports : [transports[chance(4)]!],
  });
  const list = live.list<Todo>("todos", { where: { done: false }, order: "n" });
  const windowed = chance(2) ? live.list<Todo>("todos", { where: { done: false }, order: "-n", limit: 2 }) : undefined;
  const count = live.count("todos", { where: { done: false } });
  const channel = live.channel<number>("c"), everything = live.list<Todo>("todos");
  let off: Stop | undefined | void, watching = false;

  // ---- what the handlers see, each beside one that may throw
  const seen: Change<Todo>[] = [], heard: { n?: number; cursor: string }[] = [];
  let throws = 0;
  const maybe = () => {
    if (throws && throws--) throw new Thrown();
  };
  list.on("change", maybe);
  list.on("change", c => {
    seen.push(c);
    maybe();
  });
  list.subscribe(maybe);
  list.subscribe(rows => assert.equal(new Set(rows.map(r => list.key(r))).size, rows.length, "a row twice"));
  windowed?.subscribe(maybe);
  count.subscribe(maybe);
  channel.on((n, cursor) => {
    heard.push({ n, cursor });
    maybe();
  });
  channel.onResync((_, cursor) => heard.push({ cursor }));

  const writes: { is: unknown }[] = [], causes = new Set<string>();
  let published = 0;
  const mine = () => list.rows[chance(list.rows.length || 1)];
  const past: WireRow[] = [];

  const steps: [weight: number, f: () => unknown][] = [
    [40, () => { for (let i = chance(4); i >= 0; i--) net.step(); }],
    [12, () => server.write(String(chance(6)), { done: chance(3) === 0, n: chance(9) })],
    [3, () => { const key = String(chance(6)); if (server.rows.has(key)) server.write(key, undefined); }],
    [3, () => { const row = [...server.rows.values()][chance(server.rows.size || 1)]; if (row) past.push(row); }],
    [3, () => {
      const row = past[chance(past.length || 1)], now = row && server.rows.get(row.key);
      if (now && (now.version as number) > (row.version as number) && open(now) && open(row)) server.overtaken(row);
    }],
    [8, () => server.publish("c", ++published)],
    [4, () => writes.push(outcome(list.create({ done: chance(4) === 0, n: chance(9) })))],
    [5, () => { const row = mine(); if (row) writes.push(outcome(list.update(list.key(row)!, chance(3) ? { n: chance(9) } : { done: true }))); }],
    [2, () => { const row = mine(); if (row) writes.push(outcome(list.delete(list.key(row)!))); }],
    [1, () => writes.push(outcome(list.get(chance(5))))],
    [5, () => net.conns[chance(net.conns.length || 1)]?.cut(chance(3) ? 0 : chance(4))],
    [4, () => { const c = net.conns[chance(net.conns.length || 1)]; if (c) c.frozen = !c.frozen; }],
    [3, () => { const t = transports[chance(4)]!; server.blocked.has(t) ? server.blocked.delete(t) : chance(2) && server.blocked.add(t); }],
    [1, () => { server.down = chance(2) === 0; if (server.down) server.break(); }],
    [4, () => server.say({ type: "reconnect", after: chance(3) ? chance(1500) : 0, ...(chance(3) ? {} : { problem: { status: 503, code: "overloaded" } }) })],
    [2, () => server.say({ type: "cursor", cursor: server.cursor() })],
    [2, () => { const n = chance(4); server.busy = chance(2) ? () => undefined : m => (m.id % 4 === n ? chance(3) : undefined); }],
    [3, () => clock.fire(chance(2) ? "online" : "visibilitychange")],
    [3, () => (throws += chance(3))],
    [1, () => { if (seed % 4 === 0) { causes.add("history"); server.trim(); } }],
    [1, () => { if (seed % 4 === 1) { causes.add("rights"); server.tag += "x"; } }],
    [1, () => { if (seed % 4 === 2) { causes.add("epoch"); server.epoch = "e" + chance(99); server.memory.clear(); server.break(); } }],
    [1, () => { if (windowed && windowed.rows.length < 4) writes.push(outcome(windowed.more(1))); }],
    // Somebody comes and goes: another stream, or another round, beside the one that speaks.
    [6, () => {
      watching = !off && chance(2) === 0;
      if (off) off = void off();
      else off = watching ? everything.subscribe(() => {}) : live.channel<number>("d" + chance(2)).on(() => {});
    }],
    [6, () => clock.advance(chance(700))],
    [2, () => clock.advance(chance(40_000))],
  ];
  const total = steps.reduce((n, [w]) => n + w, 0);
  for (let i = 0; i < 70; i++) {
    let at = chance(total), step = 0;
    while ((at -= steps[step]![0]) >= 0) step++;
    await steps[step]![1]();
    await settle(chance(3));
  }

  // ---- all is well again: within a while everything has arrived
  server.down = false;
  server.blocked.clear();
  server.busy = () => undefined;
  const truth = () => [...server.rows.values()].filter(open);
  const by = (sign: number) => (a: WireRow, b: WireRow) => sign * (Number(a.fields["n"]) - Number(b.fields["n"])) || Number(a.key) - Number(b.key);
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const quiet = () => live.status.current.connected && place((list as unknown as { _cursor?: string })._cursor ?? ".") === server.pos && same(list.rows, truth().sort(by(1)).map(r => r.fields)) && writes.every(w => w.is !== "waits") && count.value === truth().length
    && (!watching || everything.rows.length === server.rows.size) && (heard.at(-1)?.n === undefined || heard.at(-1)!.n === published);
  const arrive = async () => {
    do await settle(2); while (net.step());
  };
  for (let i = 0, well = 0; i < 120 && well < 2; i++) {
    for (const c of net.conns) c.frozen = false;
    await arrive();
    // Once more after all is well: nothing that comes late may change that.
    if (quiet()) well++;
    server.say({ type: "cursor", cursor: server.cursor() });
    await arrive();
    await clock.advance(well ? 5000 : 1000);
  }

  // ---- the model
  if (watching) assert.deepEqual(new Set(everything.rows), new Set([...server.rows.values()].map(r => r.fields)));
  const rows = truth().sort(by(1));
  assert.deepEqual(list.rows, rows.map(r => r.fields));
  assert.ok(list.rows.every(r => !list.pending(r)));
  assert.deepEqual(writes.flatMap((w, i) => (w.is === "waits" ? [i] : [])), [], "every write has an answer");
  assert.equal(count.value, rows.length);
  if (windowed) {
    const first = rows.sort(by(-1));
    assert.deepEqual(windowed.rows, first.slice(0, windowed.rows.length).map(r => r.fields));
    assert.equal(windowed.hasMore, first.length > windowed.rows.length);
    assert.ok(windowed.rows.length >= Math.min(2, first.length));
  }
  const made = server.log.flatMap(e => e.mutation ?? []);
  // A server that lost its memory does again what arrives again, very late.
  if (!causes.has("epoch")) assert.equal(new Set(made).size, made.length, "no write is done twice");

  const concerns = server.log.filter(e => !e.channel && !e.stale && (open(e.was) || open(e.now)));
  let last = -1;
  for (const c of seen) {
    if (c.op === "snapshot" || c.op === "resync") {
      assert.ok(c.op === "snapshot" ? last < 0 : causes.has(c.reason), `${c.op} ${"reason" in c ? c.reason : ""} after ${last}`);
      assert.ok(place(c.cursor) >= last);
      assert.deepEqual(new Set(c.rows), new Set(server.states[place(c.cursor)]!.filter(open).map(r => r.fields)));
    } else {
      const next = concerns.find(e => e.pos > last)!;
      assert.deepEqual([place(c.cursor), c.key], [next?.pos, next?.key], `after ${last}`);
      if ("row" in c) assert.deepEqual(c.row, next.now!.fields);
      else assert.ok(!open(next.now));
    }
    last = place(c.cursor);
  }
  assert.equal(concerns.find(e => e.pos > last), undefined, "nothing is missing at the end");

  const said = server.log.filter(e => e.channel);
  last = heard.length ? place(heard[0]!.cursor) - 1 : server.pos;
  for (const { n, cursor } of heard) {
    if (n === undefined) assert.ok(causes.has("history") || causes.has("epoch"));
    else assert.deepEqual([place(cursor), n], (e => [e?.pos, e?.message])(said.find(e => e.pos > last)), `after ${last}`);
    assert.ok(place(cursor) > last || n === undefined);
    last = place(cursor);
  }
  assert.equal(said.find(e => e.pos > last), undefined, "nothing is missing on the channel");
  assert.equal(others, 0);
  live.close();
  await settle(2);
}

const one = Number(process.env["SCHEDULE"] ?? 0), most = Number(process.env["SCHEDULES"] ?? 1000);
const failures: string[] = [];

// Not within a test: node:test follows every promise, which takes longer than the schedules.
for (let seed = one || 1; seed <= (one || most) && failures.length < 3; seed++) {
  await run(seed).catch((e: Error) => failures.push(`SCHEDULE=${seed}: ${e.stack}`));
}
test(`${one ? "schedule " + one : most + " schedules"}`, () => assert.deepEqual(failures, []));
