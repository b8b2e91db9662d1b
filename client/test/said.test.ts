// Every message form of testdata/protocol that is a client's: the client says it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { presence } from "../src/presence/index.ts";
import { settle } from "./clock.ts";
import { asked, at, file, holding, member, milk, names, options, secretly, tab, uuid } from "./forms.ts";
import { Script } from "./script.ts";

const client: Record<string, () => Promise<Script>> = {
  async "client-subscribe-presence"() {
    const s = at(7);
    presence(s.live, "articles", 42, { look: true });
    await s.hello();
    return s;
  },
  async "client-subscribe-presence-keys"() {
    const s = at(8);
    presence(s.live, "articles", [41, 42]);
    await s.hello();
    return s;
  },
  async "client-subscribe-presence-member"() {
    const s = secretly(7);
    presence(s.live, "articles", 42, { state: { state: "viewing" } });
    await s.hello();
    return s;
  },
  async "client-subscribe-presence-channel"() {
    const s = secretly(9);
    presence(s.live, { channel: "chat:7" }, { state: { state: "typing" } });
    await s.hello();
    return s;
  },
  "client-call-presence-set": () => member(10, here => here.set({ state: "editing", field: "title" })),
  "client-call-presence-leave": () => member(11, here => here.leave()),
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
  async "client-subscribe-window"() {
    const s = at(1);
    s.live.list("todos", { order: "-created_at", limit: 2 }).subscribe(() => {});
    await s.hello();
    return s;
  },
  async "client-subscribe-window-resume"() {
    const s = at(1);
    const list = s.live.list("todos", { order: "-created_at", limit: 2 });
    list.subscribe(() => {});
    await s.hello();
    await s.say(file("server-snapshot-window"));
    s.socket.drop();
    void list.more(1);
    // The same id, as a file has only one.
    (list as unknown as { _id: number })._id = 1;
    await s.clock.advance(1000);
    await s.hello();
    return s;
  },
  async "client-subscribe-tag"() {
    const s = at(1);
    s.live.list("todos", options).subscribe(() => {});
    await s.hello();
    await s.say(file("server-snapshot-tag"));
    await asked(s);
    return s;
  },
  async "client-subscribe-include"() {
    const s = at(1);
    s.live.list("orders", { order: "id", include: ["owner", "lines", "tags"] }).subscribe(() => {});
    await s.hello();
    return s;
  },
  async "client-subscribe-count"() {
    const s = at(3);
    s.live.count("todos", { where: { done: false } }).subscribe(() => {});
    await s.hello();
    return s;
  },
  async "client-call-verb"() {
    const s = at(9, uuid("a"));
    void s.live.call("todos", "archive", { key: 42, data: { reason: "done" } });
    await s.hello();
    return s;
  },
  async "client-call-create-bulk"() {
    const s = at(10, uuid("b"));
    void s.live.list("todos").create([{ title: "milk" }, { title: "eggs" }]);
    await s.hello();
    return s;
  },
  async "client-call-update-bulk"() {
    const s = at(10, uuid("c"));
    await holding(s, ["42", 8, milk], ["43", 1, { ...milk, id: 43 }]);
    void s.live.list("todos").update([{ key: 42, data: { done: false } }, { key: 43, data: { done: true } }]);
    await settle(2);
    return s;
  },
  async "client-call-update-base"() {
    const s = at(14, uuid("e"));
    void s.live.call("todos", "update", { key: 42, version: 7, data: { title: "oat milk" }, base: { title: "milk" } });
    await s.hello();
    return s;
  },
  async "client-call-lock"() {
    const s = at(17, uuid("f"));
    void s.live.call("presence", "lock", { data: tab });
    await s.hello();
    return s;
  },
  async "client-call-lock-handover"() {
    const s = at(18, "01890a5d-ac96-774b-bcce-b302099a8060");
    void s.live.call("presence", "handover", { data: { ...tab, to: "9c1d7b3a-2b60-4c0e-8f1a-6f0e2d4c8b75" } });
    await s.hello();
    return s;
  },
  async "client-call-delete-bulk"() {
    const s = at(11, uuid("d"));
    await holding(s, ["42", 9, milk], ["43", 2, { ...milk, id: 43 }]);
    void s.live.list("todos").delete([42, 43]);
    await settle(2);
    return s;
  },
  async "client-call-retry"() {
    const s = at(5, uuid("7"));
    s.live.list("todos").subscribe(() => {});
    await s.hello();
    await s.say({ type: "snapshot", id: 5, query: "k3", cursor: "4fk2m9qa.2sy", rows: [] });
    void s.live.list("todos").create({ title: "milk" });
    await settle(2);
    s.socket.drop();
    await s.clock.advance(1000);
    await s.hello();
    return s;
  },
  async "client-explain"() {
    const s = at(13);
    void s.live.explain("todos", 42, { where: { done: false } });
    await s.hello();
    return s;
  },
  async "client-ping"() {
    const s = at(9);
    await s.hello();
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
