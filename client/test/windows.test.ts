// Lists with a limit, under a network that does its worst.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import type { TransportName } from "../src/types.ts";
import { Clock, settle } from "./clock.ts";
import { outcome, over } from "./script.ts";
import { Server } from "./server.ts";

const transports: TransportName[] = ["websocket", "sse", "longpoll", "shortpoll"];

async function run(seed: number): Promise<void> {
  const clock = new Clock(seed), server = new Server();
  const chance = (n: number) => Math.floor(clock.random() * n);
  for (let i = 0; i < 9; i++) server.write(String(i), { done: i % 3 === 0, n: chance(6) });
  const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, env: clock.env, pollInterval: 500 });
  let limit = 3;
  const list = live.list<{ done: boolean; n: number }>("todos", { where: { done: false }, order: "-n", limit });
  const count = live.count("todos", { where: { done: false } });
  const model = new Map<string, object>();
  list.on("change", c => {
    if ("rows" in c) {
      model.clear();
      for (const r of c.rows) model.set(list.key(r)!, r);
    } else if ("row" in c) {
      model.set(c.key, c.row);
    } else {
      model.delete(c.key);
    }
  });
  list.subscribe(() => {});
  count.subscribe(() => {});
  const settled: Promise<unknown>[] = [];

  for (let step = 0; step < 120; step++) {
    const key = String(chance(14));
    switch (chance(14)) {
      case 0: case 1: case 2: case 3: server.write(key, { done: chance(3) === 0, n: chance(6) }); break;
      case 4: case 5: if (server.rows.has(key)) server.write(key, undefined); break;
      case 6: settled.push(list.create({ done: chance(4) === 0, n: chance(6) })); break;
      case 7: {
        const row = list.rows[chance(list.rows.length || 1)];
        if (row) settled.push(chance(3) ? list.update(list.key(row)!, { n: chance(6) }) : list.delete(list.key(row)!));
        break;
      }
      case 8: if (limit < 9) settled.push(list.more((limit++, 1))); break;
      case 9: server.break(); break;
      case 10: {
        const t = transports[chance(3)]!;
        server.blocked.has(t) ? server.blocked.delete(t) : server.blocked.add(t);
        if (chance(2)) server.break();
        break;
      }
      case 11: if (chance(3) === 0) { server.down = true; server.break(); server.wake(); } break;
      case 12: server.down = false; server.deaf = chance(4) === 0; server.fetches = chance(2) === 0; break;
      case 13: if (seed % 3 === 0 && chance(4) === 0) server.trim(); else if (chance(4) === 0) server.tag += "x"; else clock.fire("online"); break;
    }
    if (chance(3) === 0) await clock.advance(chance(chance(5) ? 1500 : 30_000));
    else await settle(chance(3));
  }
  server.down = server.deaf = false;
  server.blocked.clear();
  clock.fire("online");
  await clock.advance(60_000);
  server.say({ type: "cursor", cursor: server.cursor() });
  await over(settled);
  await settle();

  const truth = [...server.rows.values()].filter(r => r.fields["done"] === false);
  truth.sort((a, b) => Number(b.fields["n"]) - Number(a.fields["n"]) || Number(a.key) - Number(b.key));
  assert.deepEqual(list.rows, truth.slice(0, limit).map(r => r.fields));
  assert.deepEqual([...model].sort(), truth.slice(0, limit).map(r => [r.key, r.fields]).sort());
  assert.equal(list.hasMore, truth.length > limit);
  const more = outcome(list.more(++limit && 1));
  await clock.advance(3000);
  assert.deepEqual([more.is, list.hasMore, list.rows.length], [undefined, truth.length > limit, Math.min(limit, truth.length)]);
  assert.equal(count.value, truth.length);
  assert.equal(new Set(server.log.map(e => e.mutation).filter(Boolean)).size, server.log.filter(e => e.mutation).length, "no write is done twice");
  assert.deepEqual(server.received.filter(({ m }) => m.type === "subscribe" && !!m.cursor !== !!m.tag), []);
  live.close();
  await settle();
  assert.equal(clock.pending, 0);
}

for (let seed = Number(process.env["SEED"] ?? 1); seed <= Number(process.env["SEEDS"] ?? 40); seed++) test(`window, seed ${seed}`, () => run(seed));
