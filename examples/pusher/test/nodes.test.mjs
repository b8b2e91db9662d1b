// One hub for clients of both protocols, on one server and on two that share a log: in Redis, or where LIVE_TEST_BROKER says, as -broker has it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect as connectLive } from "../../../client/dist/live.mjs";
import { presence } from "../../../client/dist/presence.mjs";
import { Redis } from "../../browser/lib/redis.mjs";
import { follow } from "./lib/follow.mjs";
import { connect, get, hear, library, serve, settled, subscribe, suite, unique, until } from "./lib/harness.mjs";

for (const nodes of [1, 2]) {
  suite(nodes === 1 ? "one server" : "two servers that share a log", () => {
    let redis, here, there;
    before(async () => {
      if (nodes === 1) return void (here = there = await serve());
      redis = process.env.LIVE_TEST_BROKER ? undefined : await Redis.start();
      const name = unique("shared-"), broker = redis?.url ?? process.env.LIVE_TEST_BROKER;
      here = await serve({ broker, name });
      there = await serve({ broker, name });
    });
    after(() => redis?.stop());

    test("what Go code publishes reaches pusher-js and clients of live", async (t) => {
      const channel = await subscribe(await connect(there), "news");
      const stream = await follow(t, there, "news");
      const answer = await fetch(`${here.url}/news`, { method: "POST", body: new URLSearchParams({ name: "Ann", text: "<b>é" }) });
      assert.equal(answer.status, 204);
      assert.deepEqual(await channel.heard.next("published"), { name: "Ann", text: "<b>é" });
      const told = JSON.stringify(await stream.next("message"));
      assert.ok(told.includes("published") && told.includes("Ann"), told);
    });

    test("what comes over the HTTP API reaches clients of live, and pusher-js on all servers", async (t) => {
      const channel = await subscribe(await connect(there), "news"), near = await subscribe(await connect(here), "news");
      const stream = await follow(t, there, "news");
      await library(here).trigger("news", "shipped", { id: 7 });
      for (const { heard } of [channel, near]) assert.deepEqual(await heard.next("shipped"), { id: 7 });
      const message = await stream.next("message");
      assert.ok(JSON.stringify(message).includes("shipped"), JSON.stringify(message));
    });

    test("a router is offered as private channels", async () => {
      const list = unique();
      const channel = await subscribe(await connect(there), `private-todos-${list}`), other = await subscribe(await connect(there), `private-todos-other-${list}`);
      const write = async (method, path, fields, version) => {
        const headers = { "Content-Type": "application/json", ...(version && { "If-Match": `"${version}"` }) };
        const answer = await fetch(`${here.url}/live/todos${path}`, { method, headers, body: fields && JSON.stringify(fields) });
        assert.ok(answer.ok, `${method} ${answer.status}`);
        return answer.status === 204 ? undefined : answer.json();
      };
      const made = await write("POST", "", { list, title: "milk" });
      assert.deepEqual(await channel.heard.next("created"), { key: made.key, version: 1, fields: { id: Number(made.key), list, title: "milk", done: false, version: 1 } });
      await write("PATCH", `/${made.key}`, { done: true }, 1);
      assert.deepEqual(await channel.heard.next("updated"), { key: made.key, version: 2, fields: { done: true, version: 2 } });
      await write("DELETE", `/${made.key}`, undefined, 2);
      assert.deepEqual(await channel.heard.next("deleted"), { key: made.key });
      await library(here).trigger(other.name, "end", {}); // it is a channel, too
      await other.heard.next("end");
      assert.deepEqual(other.heard.events, ["end"]);
    });

    test("presence, counts and users are those of all", async () => {
      const name = unique("presence-");
      const ann = await subscribe(await connect(here), name);
      const pusher = await connect(there, { name: "Ben" });
      const ben = await subscribe(pusher, name);
      assert.equal((await ann.heard.next("pusher:member_added")).id, "Ben");
      const again = await subscribe(await connect(here, { name: "Ben" }), name);
      for (const server of [here, there]) {
        await until(() => get(library(server), `/channels/${name}/users`), ({ users }) => users.map(({ id }) => id).sort().join() === "Ann,Ben");
        await until(() => get(library(server), "/channels", { filter_by_prefix: name, info: "user_count" }), ({ channels }) => channels[name]?.user_count === 2);
      }
      pusher.disconnect();
      await subscribe(await connect(there, { name: "Cyd" }), name);
      assert.equal((await ann.heard.next("pusher:member_added")).id, "Cyd");
      again.pusher.unsubscribe(name);
      assert.equal((await ann.heard.next("pusher:member_removed")).id, "Ben");
      assert.ok(ben);
      const counted = unique("news-");
      const one = await subscribe(await connect(here), counted);
      await subscribe(await connect(there), counted);
      await one.heard.next(({ event, data }) => event === "pusher:subscription_count" && data.subscription_count === 2);
    });

    test("clients of live are members, too", async (t) => {
      const ann = await subscribe(await connect(here), "presence-chat");
      const nat = connectLive(`${there.url}/live/?name=Nat`);
      t.after(() => nat.close());
      const who = presence(nat, { channel: "presence-chat" });
      who.subscribe(() => {});
      assert.deepEqual(await ann.heard.next("pusher:member_added"), { id: "Nat", info: { name: "Nat" } });
      await until(() => who.people.map(({ id }) => id).sort().join(), (ids) => ids === "Ann,Nat");
      const ben = await subscribe(await connect(there, { name: "Ben" }), "presence-chat");
      assert.deepEqual(Object.keys(ben.first.members).sort(), ["Ann", "Ben", "Nat"]);
      await until(() => who.people.map(({ id }) => id).sort().join(), (ids) => ids === "Ann,Ben,Nat");
      ben.pusher.unsubscribe("presence-chat");
      await until(() => who.people.map(({ id }) => id).sort().join(), (ids) => ids === "Ann,Nat");
      who.leave();
      await ann.heard.next(({ event, data }) => event === "pusher:member_removed" && data.id === "Nat");
    });

    test("client events, users' channels, and the end of a user's connections reach all", async () => {
      const name = unique("private-");
      const ann = await connect(here), also = await connect(there), ben = await connect(there, { name: "Ben" });
      const channel = await subscribe(ann, name), theirs = await subscribe(ben, name);
      channel.trigger("client-x", { n: 1 });
      assert.deepEqual(await theirs.heard.next("client-x"), { n: 1 });
      for (const pusher of [ann, also]) {
        pusher.own = hear(pusher.user);
        pusher.signin();
        await pusher.frames.next("pusher:signin_success");
        await pusher.frames.next("pusher_internal:subscription_succeeded");
      }
      await library(here).sendToUser("Ann", "note", 1);
      for (const pusher of [ann, also]) assert.equal(await pusher.own.next("note"), 1);
      await library(here).terminateUserConnections("Ann");
      for (const pusher of [ann, also]) await pusher.states.next("disconnected");
      await settled(ben);
    });

    test("a cache channel keeps its last event on all", async () => {
      const name = unique("cache-");
      await library(here).trigger(name, "price", { eur: 1 });
      await until(() => get(library(there), `/channels/${name}`, { info: "cache" }), ({ cache }) => cache);
      assert.deepEqual(await (await subscribe(await connect(there), name)).heard.next("price"), { eur: 1 });
    });
  });
}

suite("a server that is killed", () => {
  test("takes its members, its counts and its channels along, once its lease is over", async (t) => {
    const redis = process.env.LIVE_TEST_BROKER ? undefined : await Redis.start();
    t.after(() => redis?.stop());
    const shared = { broker: redis?.url ?? process.env.LIVE_TEST_BROKER, name: unique("killed-"), flags: ["-lease", "5s"] };
    const here = await serve(shared), there = await serve(shared);
    const both = unique("presence-"), counted = unique("news-"), theirs = unique("news-");
    const ann = await connect(here), ben = await connect(there, { name: "Ben" });
    const channel = await subscribe(ann, both), counter = await subscribe(ann, counted);
    for (const name of [both, counted, theirs]) await subscribe(ben, name);
    assert.equal((await channel.heard.next("pusher:member_added")).id, "Ben");
    const counts = (n) => ({ event, data }) => event === "pusher:subscription_count" && data.subscription_count === n;
    await counter.heard.next(counts(2));
    const occupied = async () => Object.keys((await get(library(here), "/channels")).channels).filter((name) => [both, counted, theirs].includes(name)).sort().join();
    await until(occupied, (names) => names === [both, counted, theirs].sort().join());

    await there.kill();
    assert.equal((await channel.heard.next("pusher:member_removed")).id, "Ben");
    await counter.heard.next(counts(1));
    await until(occupied, (names) => names === [both, counted].sort().join());
    assert.deepEqual(await get(library(here), `/channels/${both}/users`), { users: [{ id: "Ann" }] });
    await library(here).trigger(both, "after", 1);
    assert.equal(await channel.heard.next("after"), 1);
  });
});
