// The delivery contract, under a network that does its worst: the handler sees each change that concerns it once and in order, or one
// resync in place of those that are gone; and in the end the rows are the server's.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { Change, TransportName } from "../src/types.ts";
import { Clock, settle } from "./clock.ts";
import { over } from "./script.ts";
import { Server } from "./server.ts";

type Todo = { id: number; title: string; done: boolean; n: number };

const transports: TransportName[] = ["websocket", "sse", "longpoll", "shortpoll"];

async function run(seed: number): Promise<void> {
  const clock = new Clock(seed), server = new Server();
  const chance = (n: number) => Math.floor(clock.random() * n);
  for (let i = 0; i < 5; i++) server.write(String(i), { title: "t" + i, done: i % 2 === 0, n: i });
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, env: clock.env, pollInterval: 500 });
  const where = { done: false };
  const list = live.list<Todo>("todos", { where, order: "-n" });
  const seen: Change<Todo>[] = [];
  list.on("change", c => seen.push(c));
  const model = new Map<string, Todo>();
  list.subscribe(rows => {
    // No row twice, whatever is under way.
    const keys = rows.map(r => list.key(r));
    assert.equal(new Set(keys).size, keys.length);
  });
  const heard: number[] = [], gaps: string[] = [];
  live.channel<number>("c").on(n => heard.push(n));
  live.channel<number>("c").onResync(reason => gaps.push(reason));
  const settled: Promise<unknown>[] = [];
  let published = 0, trims = 0;

  for (let step = 0; step < 150; step++) {
    const key = String(chance(8));
    switch (chance(16)) {
      case 0: case 1: case 2: server.write(key, { done: chance(2) === 0, n: chance(9) }); break;
      case 3: server.write(key, { title: "x" + step, done: chance(4) === 0, n: chance(9) }); break;
      case 4: if (server.rows.has(key)) server.write(key, undefined); break;
      case 5: case 6: server.publish("c", ++published); break;
      case 7: settled.push(list.create({ title: "own" + step, done: chance(4) === 0, n: chance(9) })); break;
      case 8: {
        const row = list.rows[chance(list.rows.length || 1)];
        if (row) settled.push(list.update(list.key(row)!, { n: chance(9), done: chance(4) === 0 }), list.update(list.key(row)!, { title: "u" + step }));
        break;
      }
      case 9: {
        const row = list.rows[chance(list.rows.length || 1)];
        if (row) settled.push(list.delete(list.key(row)!));
        break;
      }
      case 10: server.break(); break;
      case 11: {
        const t = transports[chance(3)]!;
        server.blocked.has(t) ? server.blocked.delete(t) : server.blocked.add(t);
        if (chance(2)) server.break();
        break;
      }
      case 12: if (chance(3) === 0) { server.down = true; server.break(); server.wake(); } break;
      case 13: server.down = false; server.deaf = chance(4) === 0; break;
      case 14: clock.fire(chance(2) ? "online" : "visibilitychange"); break;
      case 15: if (seed % 3 === 0 && chance(4) === 0) { server.trim(); trims++; } else server.say({ type: "reconnect", after: chance(3000) }); break;
    }
    if (chance(3) === 0) await clock.advance(chance(chance(5) ? 1500 : 30_000));
    else await settle(chance(3));
  }
  server.down = server.deaf = false;
  server.blocked.clear();
  clock.fire("online");
  await clock.advance(60_000);
  // A server's sign of life: an answer over a connection that was left behind may have waited for it.
  server.say({ type: "cursor", cursor: server.cursor() });
  await over(settled);
  await settle();

  // The rows are the server's, in its order; and no write is left hanging.
  const truth = [...server.rows.values()].filter(r => r.fields["done"] === false);
  truth.sort((a, b) => Number(b.fields["n"]) - Number(a.fields["n"]) || Number(a.key) - Number(b.key));
  assert.deepEqual(list.rows, truth.map(r => r.fields));
  assert.ok(list.rows.every(r => !list.pending(r)));

  // The changes are the log's: from each start on, without gap and without doublet.
  const concerns = server.log.filter(e => e.channel === undefined && (e.was?.fields["done"] === false || e.now?.fields["done"] === false));
  let last = "";
  for (const c of seen) {
    if (c.op === "snapshot" || c.op === "resync") {
      model.clear();
      for (const r of c.rows) model.set(list.key(r)!, r);
      assert.ok(c.op === "snapshot" ? last === "" : trims > 0, `${c.op} after ${last}`);
    } else {
      const next = concerns.find(e => server.cursor(e.pos) > last);
      assert.equal(c.cursor, server.cursor(next!.pos));
      assert.equal(c.key, next!.key);
      if ("row" in c) model.set(c.key, c.row);
      else model.delete(c.key);
    }
    last = c.cursor;
  }
  assert.equal(concerns.find(e => server.cursor(e.pos) > last), undefined, "nothing is missing at the end");
  assert.deepEqual(new Map([...model].sort()), new Map(truth.map(r => [r.key, r.fields] as const).sort() as [string, Todo][]));

  // Each message once, in order; where some are missing, a resync said so.
  const all = server.log.filter(e => e.channel === "c").map(e => e.message as number);
  if (!gaps.length && heard.length) assert.deepEqual(heard, all.slice(all.indexOf(heard[0]!)));
  heard.forEach((n, i) => assert.ok(i === 0 || n > heard[i - 1]!, "in order"));
  live.close();
  await settle();
  assert.equal(clock.pending, 0);
}

for (let seed = Number(process.env["SEED"] ?? 1); seed <= Number(process.env["SEEDS"] ?? 60); seed++) test(`seed ${seed}`, () => run(seed));
