// Every message form of testdata/protocol: the client says the client's, and does with the server's what protocol.md says.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";
import type { Change } from "../src/types.ts";

const folder = "../testdata/protocol/";
const file = (name: string) => readFileSync(`${folder}${name}.json`, "utf8").trim();
const names = (side: string) => readdirSync(folder).filter(f => f.startsWith(side)).map(f => f.replace(".json", "")).sort();

const options = { where: { list_id: 7, done: false }, order: "-created_at" };
const milk = { id: 42, list_id: 7, title: "milk", done: false };

/** A script whose next message id, and mutation, are the ones given. */
function at(id: number, mutation = ""): Script {
  const s = new Script();
  s.clock.env.uuid = () => mutation;
  const live = s.live as unknown as { _nextID(): number; _env: { uuid(): string } };
  live._env.uuid = () => mutation;
  for (let i = 1; i < id; i++) live._nextID();
  return s;
}

const uuid = (digit: string) => `01890a5d-ac96-774b-bcce-b302099a805${digit}`;

/** Rows with versions, for calls that send one: from a list that takes no id of those that matter. */
async function holding(s: Script, ...rows: [string, number, object][]): Promise<void> {
  s.live.list("todos").subscribe(() => {});
  await s.hello();
  await s.snapshot("e.1", ...rows);
}

const client: Record<string, () => Promise<Script>> = {
  async "client-subscribe"() {
    const s = at(1);
    s.live.list("todos", options).subscribe(() => {});
    await s.hello();
    return s;
  },
  async "client-subscribe-resume"() {
    const s = at(1);
    s.live.list("todos", options).subscribe(() => {});
    await s.hello();
    await s.say(file("server-snapshot"));
    s.socket.drop();
    await s.clock.advance(1000);
    await s.hello();
    return s;
  },
  async "client-subscribe-channel"() {
    const s = at(2);
    s.live.channel("chat:7").on(() => {});
    await s.hello();
    await s.say({ type: "snapshot", id: 2, query: "c5", cursor: "4fk2m9qa.2sy" });
    s.socket.drop();
    await s.clock.advance(1000);
    await s.hello();
    return s;
  },
  async "client-unsubscribe"() {
    const s = at(1);
    const off = s.live.list("todos", options).subscribe(() => {});
    await s.hello();
    await s.say(file("server-snapshot"));
    off();
    await s.clock.advance(1000);
    return s;
  },
  async "client-publish"() {
    const s = at(3);
    void s.live.channel("chat:7").publish({ text: "hello" });
    await s.hello();
    return s;
  },
  async "client-call-list"() {
    const s = at(4);
    void s.live.list("todos", { where: { done: false }, order: "-created_at" }).fetch();
    await s.hello();
    return s;
  },
  async "client-call-get"() {
    const s = at(5);
    void s.live.list("todos").get(42);
    await s.hello();
    return s;
  },
  async "client-call-create"() {
    const s = at(6, uuid("7"));
    void s.live.list("todos").create({ title: "milk" });
    await s.hello();
    return s;
  },
  async "client-call-update"() {
    const s = at(6, uuid("8"));
    await holding(s, ["42", 7, milk]);
    void s.live.list("todos").update(42, { done: true });
    await settle(2);
    return s;
  },
  async "client-call-delete"() {
    const s = at(7, uuid("9"));
    await holding(s, ["42", 8, milk]);
    void s.live.list("todos").delete("42");
    await settle(2);
    return s;
  },
  async "client-ping"() {
    const s = at(9);
    await s.hello();
    await s.clock.advance(36_000);
    return s;
  },
};

test("every client form is said by some scenario", async t => {
  assert.deepEqual(names("client"), Object.keys(client).sort());
  for (const [name, scenario] of Object.entries(client)) {
    await t.test(name, async () => {
      const s = await scenario();
      assert.deepEqual(s.sent.pop(), JSON.parse(file(name)));
      s.live.close();
    });
  }
});

interface Scene {
  s: Script;
  rows: readonly unknown[];
  seen: Change<unknown>[];
  state(): string;
}

/** The list of the examples, live at the cursor 2sy with row 42. */
async function scene(): Promise<Scene> {
  const s = at(1, uuid("7"));
  const list = s.live.list("todos", options);
  const seen: Change<unknown>[] = [];
  const scene: Scene = { s, rows: [], seen, state: () => list.status.state };
  list.on("change", c => seen.push(c));
  list.subscribe(rows => (scene.rows = rows));
  await s.hello();
  await s.say(file("server-snapshot"));
  seen.length = 0;
  return scene;
}

/** What a subscription of the scene would ask for next: its cursor. */
async function cursorOf({ s }: Scene): Promise<string | undefined> {
  s.socket.drop();
  await s.clock.advance(1000);
  await s.hello();
  return s.last("subscribe").cursor;
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
    const s = at(9);
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
