// Several people at one row, in random orders of what they do and what arrives: nobody writes over what he was not shown, and in the
// end everybody sees the same. SEEDS=1000 tries as many; SEED=4711 is that one alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/index.ts";
import { editing } from "../src/presence/index.ts";
import type { TransportName } from "../src/types.ts";
import { Clock } from "./clock.ts";
import { Control, Form } from "./dom.ts";
import { Server } from "./server.ts";

const FIELDS = ["title", "body"];

async function desk(seed: number): Promise<void> {
  const chance = new Clock(seed), pick = (n: number) => Math.floor(chance.random() * n);
  const server = new Server();
  server.write("7", { title: "t0", body: "b0" }, undefined, "articles");
  server.merges = pick(3) > 0;
  /** What each person was shown of each field. */
  const shown = new Map<string, Set<string>>();
  let writes = 0, wrong = "";

  const handle = server.handle.bind(server);
  server.handle = (m, subs) => {
    const row = server.table("articles").get("7")!;
    const answers = handle(m, subs);
    if (m.type === "call" && m.verb === "update" && answers[0]!.type === "result" && server.table("articles").get("7") !== row) {
      writes++;
      const data = m.data as Record<string, string>, saw = shown.get(m.mutation!.slice(0, 3))!;
      for (const f of Object.keys(data)) if (!saw.has(`${f}=${row.fields[f]}`)) wrong ||= `"${data[f]}" was written over "${row.fields[f]}" of ${f}, which was not shown: ${JSON.stringify(m)}`;
    }
    return answers;
  };

  const people = ["ada", "ben", "cem"].map((name, i) => {
    const clock = new Clock(seed * 10 + i), saw = new Set<string>();
    clock.turns = 2 + pick(3);
    shown.set(name, saw);
    const transport = (["websocket", "sse", "longpoll", "shortpoll"] as TransportName[])[pick(4)]!;
    const live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, transport, env: { ...clock.env, uuid: () => `${name}${clock.env.uuid()}` } });
    const controls = FIELDS.map(f => new Control("text", f, `${f[0]}0`)), form = new Form(new Control("hidden", "version", "1"), ...controls, new Control("submit", "", "", { textContent: "Save" }));
    const ed = editing(live, "articles", 7, {
      form: form as never,
      onConflict: all => all.forEach(c => saw.add(`${c.field}=${c.theirs}`)),
      onChange: () => look(),
    });
    let n = 0;
    const look = () => controls.forEach(c => saw.add(`${c.name}=${c.value}`));
    look();
    return { name, clock, live, controls, form, ed, look, text: () => `${name} ${++n}` };
  });

  for (let i = 0; i < 60; i++) {
    const p = people[pick(3)]!;
    const { ed, controls } = p;
    [
      () => controls[pick(2)]!.enter(p.text()),
      () => controls[pick(2)]!.enter(p.text()),
      () => void p.form.submit(),
      () => void ed.save(),
      () => void ed.saveAnyway(),
      () => ed.keep(FIELDS[pick(2)]!),
      () => ed.take(FIELDS[pick(2)]!),
      () => pick(3) || ed.discard(),
      () => pick(4) || server.break(),
      () => pick(4) || server.trim(),
      () => (server.deaf = !pick(6)),
    ][pick(11)]!();
    if (pick(2)) await p.clock.advance(pick(3) ? pick(50) : pick(3000));
  }
  server.deaf = false;
  for (let i = 0; i < 4; i++) for (const p of people) await p.clock.advance(20_000);
  for (const p of people) {
    p.ed.discard();
    await p.clock.advance(10);
  }
  assert.equal(wrong, "");
  const { fields, version } = server.table("articles").get("7")!;
  for (const { ed, controls, name } of people) {
    assert.deepEqual([controls.map(c => c.value), ed.version, ed.state, ed.conflicts, ed.saving], [[fields["title"], fields["body"]], version, "viewing", [], false], name);
    ed.close();
  }
  for (const p of people) p.live.close();
  total += writes;
}

let total = 0;
const { SEED, SEEDS = "40" } = process.env;

test("nobody writes over what he was not shown", async () => {
  const seeds = SEED ? [Number(SEED)] : Array.from({ length: Number(SEEDS) }, (_, i) => i + 1);
  for (const seed of seeds) await desk(seed).catch(e => assert.fail(`SEED=${seed}: ${e.stack}`));
  assert.ok(total > seeds.length * 2, `only ${total} writes`);
});
