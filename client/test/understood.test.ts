// Every message form of testdata/protocol that is a server's: the client does with it what protocol.md says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { presence } from "../src/presence/index.ts";
import type { Change } from "../src/types.ts";
import { settle } from "./clock.ts";
import { asked, at, file, holding, milk, names, options, tab, uuid } from "./forms.ts";
import { Script, outcome } from "./script.ts";

interface Scene {
  s: Script;
  rows: readonly unknown[];
  seen: Change<unknown>[];
  state(): string;
}

/** The list of the examples, live at the cursor 2sy with row 42. */
async function scene(snapshot = "server-snapshot"): Promise<Scene> {
  const s = at(1, uuid("7"));
  const list = s.live.list("todos", options);
  const seen: Change<unknown>[] = [];
  const scene: Scene = { s, rows: [], seen, state: () => list.status.state };
  list.on("change", c => seen.push(c));
  list.subscribe(rows => (scene.rows = rows));
  await s.hello();
  await s.say(file(snapshot));
  seen.length = 0;
  return scene;
}

/** The window of the examples. */
async function window() {
  const s = at(1);
  const list = s.live.list("todos", { order: "-created_at", limit: 2 });
  list.subscribe(() => {});
  await s.hello();
  await s.say(file("server-snapshot-window"));
  return { s, list };
}

/** The count of the examples. */
async function counted() {
  const s = at(3);
  const count = s.live.count("todos", { where: { done: false } });
  count.subscribe(() => {});
  await s.hello();
  await s.say(file("server-snapshot-count"));
  return { s, count };
}

/** What a subscription of the scene would ask for next: its cursor. */
async function cursorOf({ s }: Scene): Promise<string | undefined> {
  return (await asked(s)).cursor;
}

const server: Record<string, () => Promise<void>> = {
  async "server-hello"() {
    const s = at(1);
    await settle(2);
    assert.equal(s.live.status.current.connected, false);
    await s.say(file("server-hello"));
    assert.deepEqual([s.live.status.current.connected, s.live.status.current.transport], [true, "websocket"]);
    s.live.close();
  },
  async "server-snapshot"() {
    const c = await scene();
    assert.deepEqual(c.rows, [milk]);
    assert.equal(c.state(), "live");
    assert.equal(await cursorOf(c), "4fk2m9qa.2sy");
  },
  async "server-snapshot-tag"() {
    const c = await scene("server-snapshot-tag");
    assert.deepEqual(c.rows, [milk]);
    assert.equal((await asked(c.s)).tag, "Jq3w-8Zx0aPk");
  },
  async "server-snapshot-presence"() {
    const s = at(7);
    const here = presence(s.live, "articles", 42, { look: true });
    await s.hello();
    await s.say(file("server-snapshot-presence"));
    assert.deepEqual(here.people.map(p => [p.id, p.name, p.info, p.metas.map(m => [m.on, m.state, m.away])]), [
      ["u1", "Ada", { color: "#c00" }, [["42", { state: "editing", field: "title" }, false]]],
    ]);
    s.live.close();
  },
  async "server-snapshot-window"() {
    const { list } = await window();
    assert.deepEqual([list.rows.map(r => r["id"]), list.hasMore, list.status.state], [[62, 61], true, "live"]);
  },
  async "server-snapshot-limit"() {
    const s = at(1);
    const list = s.live.list("todos");
    list.subscribe(() => {});
    await s.hello();
    await s.say(file("server-snapshot-limit"));
    assert.deepEqual([list.rows.length, list.hasMore], [1, true]);
    assert.deepEqual(await asked(s), { type: "subscribe", id: 1, router: "todos", limit: 1, cursor: "4fk2m9qa.2sy", bound: [61] });
  },
  async "server-snapshot-relations"() {
    const s = at(1);
    s.live.list("orders", { order: "id", include: ["owner", "lines", "tags"] }).subscribe(() => {});
    await s.hello();
    await s.say(file("server-snapshot-relations"));
    assert.deepEqual(s.sent.slice(1).map(m => m.type === "subscribe" && [m.router, m.where]), [
      ["users", { id: { in: [7] } }], ["lines", { order_id: { in: [5] } }], ["order_tags", { order_id: { in: [5] } }],
    ]);
    await s.say({ type: "snapshot", id: 4, query: "t", cursor: "4fk2m9qa.2sy", rows: [{ key: "1", fields: { id: 1, order_id: 5, tag_id: 9 } }] });
    assert.deepEqual([s.last("subscribe").router, s.last("subscribe").where], ["tags", { id: { in: [9] } }]);
    s.live.close();
  },
  async "server-snapshot-count"() {
    const { count } = await counted();
    assert.deepEqual([count.value, count.status.state], [12, "live"]);
  },
  async "server-count"() {
    const { s, count } = await counted();
    await s.say(file("server-count"));
    assert.equal(count.value, 13);
    assert.equal((await asked(s)).cursor, "4fk2m9qa.2t8");
  },
  async "server-change-window"() {
    const { s, list } = await window();
    await s.say(file("server-change-window"));
    assert.deepEqual(list.rows.map(r => r["id"]), [63, 62]);
    assert.deepEqual((await asked(s)).bound, ["2026-11-22T11:00:00Z", 62]);
  },
  async "server-change-fill"() {
    const { s, list } = await window();
    const more = outcome(list.more(1));
    await settle(2);
    await s.say({ type: "resumed", id: 2, query: "w3", cursor: "4fk2m9qa.2sy" }, file("server-change-fill"));
    assert.deepEqual([list.rows.map(r => r["id"]), list.hasMore, more.is], [[62, 61, 60], false, undefined]);
    assert.deepEqual((await asked(s)).bound, ["2026-11-22T09:00:00Z", 60]);
  },
  async "server-change-whole"() {
    const { s, list } = await window();
    await s.say(file("server-change-whole"));
    assert.deepEqual([list.rows.map(r => r["id"]), list.hasMore], [[62], false]);
    assert.equal((await asked(s)).bound, undefined);
  },
  async "server-result-data"() {
    const s = at(9);
    const p = outcome(s.live.call("todos", "archive", { key: 42 }));
    await s.hello();
    await s.say(file("server-result-data"));
    assert.deepEqual(p.is, { archived: true });
    s.live.close();
  },
  async "server-resumed"() {
    const c = await scene();
    await cursorOf(c);
    await c.s.say(file("server-resumed"), file("server-change-update"));
    assert.deepEqual(c.rows, [{ ...milk, title: "oat milk" }]);
  },
  async "server-resync"() {
    const c = await scene();
    await c.s.say(file("server-change-create"));
    await c.s.say(file("server-resync"));
    assert.deepEqual(c.rows, [milk]);
    assert.deepEqual(c.seen.map(e => e.op), ["create", "resync"]);
    assert.equal((c.seen[1] as { reason: string }).reason, "history");
    assert.equal(await cursorOf(c), "4fk2m9qa.2sz");
  },
  async "server-change-create"() {
    const c = await scene();
    await c.s.say(file("server-change-create"));
    const eggs = { id: 43, list_id: 7, title: "eggs", done: false };
    assert.deepEqual(c.rows, [milk, eggs]);
    assert.deepEqual(c.seen, [{ op: "create", key: "43", row: eggs, cursor: "4fk2m9qa.2t0", mutation: uuid("7") }]);
    await c.s.say(file("server-change-create"));
    assert.equal(c.seen.length, 1, "a cursor that is not after the subscription's has been seen");
    assert.equal(await cursorOf(c), "4fk2m9qa.2t0");
  },
  async "server-change-enter"() {
    const c = await scene();
    await c.s.say(file("server-change-enter"));
    assert.deepEqual(c.rows, [milk, { id: 44, list_id: 7, title: "tea", done: false }]);
  },
  async "server-change-update"() {
    const c = await scene();
    await c.s.say(file("server-change-update"));
    assert.deepEqual(c.rows, [{ ...milk, title: "oat milk" }]);
  },
  async "server-change-by"() {
    const c = await scene();
    await c.s.say(file("server-change-by"));
    assert.deepEqual(c.rows, [{ ...milk, title: "soy milk" }]);
  },
  async "server-change-leave"() {
    const c = await scene();
    await c.s.say(file("server-change-leave"));
    assert.deepEqual(c.rows, []);
    assert.deepEqual(c.seen, [{ op: "leave", key: "42", cursor: "4fk2m9qa.2t3" }]);
  },
  async "server-change-delete"() {
    const c = await scene();
    await c.s.say(file("server-change-create"));
    await c.s.say(file("server-change-delete"));
    assert.deepEqual(c.rows, [milk]);
    assert.equal(await cursorOf(c), "4fk2m9qa.2t4");
  },
  async "server-message"() {
    const s = at(2);
    const heard: unknown[] = [];
    s.live.channel("chat:7").on(m => heard.push(m));
    await s.hello();
    await s.say({ type: "snapshot", id: 2, query: "c5", cursor: "4fk2m9qa.2sy" }, file("server-message"), file("server-message"));
    assert.deepEqual(heard, [{ text: "hello" }]);
    s.live.close();
  },
  async "server-cursor"() {
    const c = await scene();
    await c.s.say(file("server-cursor"));
    await c.s.say({ type: "cursor", cursor: "4fk2m9qa.2t0" }, { type: "cursor", cursor: "zzzz.2t9" });
    assert.equal(await cursorOf(c), "4fk2m9qa.2t6", "forward, never back");
  },
  async "server-result"() {
    const s = at(7);
    const p = outcome(s.live.list("todos").get(42));
    await s.hello();
    await s.say(file("server-result"));
    assert.deepEqual(p.is, { ...milk, done: true });
    s.live.close();
  },
  async "server-result-unsent"() {
    const c = await scene();
    const p = outcome(c.s.live.list("todos", options).update(42, { done: true }));
    await c.s.say();
    await c.s.say(file("server-result-unsent").replace('"id":7', `"id":${c.s.last("call").id}`), file("server-cursor"));
    assert.deepEqual(p.is, { ...milk, done: true });
    assert.deepEqual(c.rows, [p.is], "it stays until its change comes");
  },
  async "server-result-list"() {
    const s = at(4);
    const p = outcome(s.live.list("todos").fetch());
    await s.hello();
    await s.say(file("server-result-list"));
    assert.deepEqual(p.is, [{ ...milk, done: true }]);
    s.live.close();
  },
  async "server-result-empty"() {
    const s = at(8);
    const p = outcome(s.live.list("todos").delete(43));
    await s.hello();
    await s.say(file("server-result-empty"));
    assert.equal(p.is, undefined);
    s.live.close();
  },
  async "server-error"() {
    const s = at(6);
    const list = s.live.list<{ title: unknown }>("todos");
    const p = list.create({ title: 7 });
    await s.hello();
    await s.say(file("server-error"));
    await assert.rejects(p, { name: "LiveError", code: "invalid_value", status: 422, errors: { title: ["want a string, got the number 7"] } });
    s.live.close();
  },
  async "server-error-conflict"() {
    const s = at(6);
    await holding(s, ["42", 7, milk]);
    const list = s.live.list("todos");
    const p = list.update(42, { title: "mine" });
    await settle(2);
    assert.deepEqual(list.rows, [{ ...milk, title: "mine" }]);
    await s.say(file("server-error-conflict"));
    await assert.rejects(p, e => (e as { code: string; current: { version: number } }).current.version === 9);
    assert.deepEqual(list.rows, [{ ...milk, title: "soy milk" }]);
    s.live.close();
  },
  async "server-error-conflict-base"() {
    const s = at(14);
    const p = s.live.call("todos", "update", { key: 42, version: 7, data: { title: "oat milk" }, base: { title: "milk" } });
    await s.hello();
    await s.say(file("server-error-conflict-base"));
    await assert.rejects(p, { code: "conflict", changed: { done: { version: 8 }, title: { version: 9, by: { name: "Ben" } } }, conflicts: ["title"] });
    s.live.close();
  },
  async "server-result-lock"() {
    const s = at(17);
    const p = outcome(s.live.call("presence", "lock", { data: tab }));
    await s.hello();
    await s.say(file("server-result-lock"));
    assert.deepEqual(p.is, { lock: "1795341600250000" });
    s.live.close();
  },
  async "server-error-locked"() {
    const s = at(17);
    const p = s.live.call("presence", "lock", { data: tab });
    await s.hello();
    await s.say(file("server-error-locked"));
    await assert.rejects(p, (e: { code: string; current: { fields: { name: string } } }) => e.code === "locked" && e.current.fields.name === "Ben");
    s.live.close();
  },
  async "server-closed"() {
    const c = await scene();
    await c.s.say(file("server-closed"));
    assert.equal(c.state(), "closed");
    assert.deepEqual(c.rows, []);
    assert.equal(c.s.sent.filter(m => m.type === "unsubscribe").length, 0, "the id is free already");
  },
  async "server-reconnect"() {
    const c = await scene();
    await c.s.say(file("server-reconnect"));
    await c.s.clock.advance(1100);
    assert.equal(c.s.sockets.length, 1);
    await c.s.clock.advance(200);
    assert.equal(c.s.sockets.length, 2);
    c.s.sockets[0]!.send(file("server-change-update"));
    await settle(2);
    assert.deepEqual(c.rows, [{ ...milk, title: "oat milk" }], "the old one goes on until the new one has said hello");
    await c.s.hello();
    assert.equal(c.s.sockets[0]!.closed, true);
    assert.equal(c.s.last("subscribe").cursor, "4fk2m9qa.2t2");
  },
  async "server-reconnect-problem"() {
    const c = await scene();
    const { live } = c.s;
    await c.s.say(file("server-reconnect-problem"));
    assert.deepEqual([c.s.socket.closed, live.status.current.connected, live.status.current.error?.code], [true, false, "too_slow"]);
    await c.s.clock.advance(1699);
    assert.equal(c.s.sockets.length, 1, "it takes a while longer than it was told");
    await c.s.clock.advance(501);
    assert.equal(c.s.sockets.length, 2);
  },
  async "server-status"() {
    const s = at(1);
    await s.hello();
    await s.say(file("server-status"));
    assert.equal(s.live.status.current.degraded, true);
    await s.say({ type: "status", degraded: false });
    assert.equal(s.live.status.current.degraded, false);
    s.live.close();
  },
  async "server-pong"() {
    const s = at(8); // who has nothing to subscribe to says at once that it is here
    await s.hello();
    await s.clock.advance(35_040);
    assert.equal(s.last("ping").id, 9);
    await s.say(file("server-pong"));
    assert.equal(s.live.status.current.lag, 40);
    await s.clock.advance(30_000);
    assert.equal(s.sockets.length, 1, "it lives");
    s.live.close();
  },
};

test("every server form is understood", async t => {
  assert.deepEqual(names("server"), Object.keys(server).sort());
  for (const [name, scenario] of Object.entries(server)) await t.test(name, scenario);
});

test("what a client does not know it ignores", async () => {
  const c = await scene();
  await c.s.say('{"type":"festival","id":1}', "[]", "null", '"x"', '{"type":"change","query":"k9","cursor":"4fk2m9qa.2t0","changes":[]}', "garbage");
  await c.s.say('{"type":"change","query":"k3","cursor":"4fk2m9qa.2t0","novel":1,"changes":[{"op":"transmogrify","key":"42"}]}');
  assert.deepEqual(c.rows, [milk]);
  await c.s.say(file("server-change-update"));
  assert.deepEqual(c.rows, [{ ...milk, title: "oat milk" }]);
});
