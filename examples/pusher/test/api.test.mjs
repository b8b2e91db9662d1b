// The HTTP API, asked by the server library; and by hand what that would never ask.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { before, test } from "node:test";
import { connect, get, hear, library, serve, settled, shop, subscribe, suite, unique, until } from "./lib/harness.mjs";

suite("the HTTP API", () => {
  let server, pusher;
  before(async () => {
    server = await serve();
    pusher = library(server);
  });

  /** Sends a request that is signed with the parts that are given, and returns its status and what it says. */
  async function ask(method, path, { body, secret = shop.secret, at = Date.now(), digest = body, signed = `/apps/${shop.id}${path}`, app = shop.id } = {}) {
    const parameters = [`auth_key=${shop.key}`, `auth_timestamp=${Math.floor(at / 1000)}`, "auth_version=1.0"];
    if (digest) parameters.push(`body_md5=${createHash("md5").update(digest).digest("hex")}`);
    const query = parameters.sort().join("&");
    const signature = createHmac("sha256", secret).update(`${method}\n${signed}\n${query}`).digest("hex");
    const answer = await fetch(`${server.url}/apps/${app}${path}?${query}&auth_signature=${signature}`, { method, body, headers: { "Content-Type": "application/json" } });
    return { status: answer.status, ...(await answer.json()) };
  }

  test("triggers on many channels, but not for the connection that asks", async () => {
    const names = [unique("news-"), unique("private-"), unique("presence-")];
    const ann = await connect(server), ben = await connect(server, { name: "Ben" });
    const own = [], others = [];
    for (const name of names) {
      own.push(await subscribe(ann, name));
      others.push(await subscribe(ben, name));
    }
    const answer = await pusher.trigger(names, "shipped", { id: 7 }, { socket_id: ann.connection.socket_id });
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), {});
    for (const channel of others) assert.deepEqual(await channel.heard.next("shipped"), { id: 7 });
    await pusher.trigger(names, "end", {}, { socket_id: "1.1" }); // nobody's
    for (const channel of own) {
      await channel.heard.next("end");
      assert.deepEqual(channel.heard.events, ["end"]);
    }
  });

  test("tells of the channels that it triggers on when it is asked", async () => {
    const news = unique("news-"), room = unique("presence-"), nobodys = unique("news-");
    for (const name of ["Ann", "Ben"]) {
      const client = await connect(server, { name });
      await subscribe(client, news);
      await subscribe(client, room);
    }
    await subscribe(await connect(server, { name: "Ben" }), room);
    const want = { [news]: { subscription_count: 2 }, [room]: { subscription_count: 3, user_count: 2 }, [nobodys]: { subscription_count: 0 } };
    await until(async () => (await pusher.trigger([news, room, nobodys], "e", {}, { info: "subscription_count,user_count" })).json(), ({ channels }) => {
      try {
        assert.deepEqual(channels, want);
        return true;
      } catch {
        return false;
      }
    });
  });

  test("triggers a batch, in its order, each with what is asked of it", async () => {
    const one = unique("news-"), two = unique("news-");
    const client = await connect(server);
    const first = await subscribe(client, one), second = await subscribe(client, two);
    await until(() => get(pusher, "/channels"), ({ channels }) => channels[one] && channels[two]);
    const answer = await pusher.triggerBatch([
      { channel: one, name: "a", data: { n: 1 }, info: "subscription_count" },
      { channel: one, name: "b", data: "text", socket_id: client.connection.socket_id },
      { channel: two, name: "c", data: [3] },
      { channel: one, name: "d", data: 4 },
    ]);
    assert.deepEqual(await answer.json(), { batch: [{ subscription_count: 1 }, {}, {}, {}] });
    assert.deepEqual(await first.heard.next("a"), { n: 1 });
    assert.equal(await first.heard.next("d"), 4);
    assert.deepEqual(await second.heard.next("c"), [3]);
    assert.deepEqual(first.heard.events, ["a", "d"]);
  });

  test("tells of channels, and of users", async () => {
    const room = unique("presence-room-"), cache = unique("cache-"), news = unique("news-"), nobodys = unique("news-");
    const ann = await connect(server), ben = await connect(server, { name: "Ben" }), also = await connect(server, { name: "Ben" });
    for (const client of [ann, ben, also]) await subscribe(client, room);
    for (const name of [cache, news]) await subscribe(ann, name);
    const prefixed = await until(() => get(pusher, "/channels", { filter_by_prefix: room, info: "user_count" }), ({ channels }) => channels[room]?.user_count === 2);
    assert.deepEqual(Object.keys(prefixed.channels), [room]);
    await until(() => get(pusher, "/channels"), ({ channels }) => [room, cache, news].every((name) => name in channels) && !(nobodys in channels));
    assert.deepEqual(await get(pusher, `/channels/${room}`, { info: "user_count" }), { occupied: true, user_count: 2 });
    assert.deepEqual(await get(pusher, `/channels/${news}`, { info: "subscription_count" }), { occupied: true, subscription_count: 1 });
    assert.deepEqual(await get(pusher, `/channels/${nobodys}`), { occupied: false });
    assert.deepEqual((await get(pusher, `/channels/${room}/users`)).users.map(({ id }) => id).sort(), ["Ann", "Ben"]);
    assert.deepEqual(await get(pusher, `/channels/${unique("presence-")}/users`), { users: [] });

    assert.equal((await get(pusher, `/channels/${cache}`, { info: "cache" })).cache, null);
    await pusher.trigger(cache, "price", { eur: 2 });
    const { cache: kept } = await until(() => get(pusher, `/channels/${cache}`, { info: "cache" }), ({ cache }) => cache);
    assert.deepEqual(JSON.parse(kept.data), { eur: 2 });
    assert.ok(kept.ttl > 0 && kept.ttl <= 1800);
    ann.disconnect();
    await until(() => get(pusher, "/channels"), ({ channels }) => !(news in channels));

    for (const [path, params] of [["/channels", { info: "user_count" }], [`/channels/${news}`, { info: "user_count" }], [`/channels/${room}`, { info: "subscription_count" }],
      [`/channels/${news}`, { info: "cache" }], [`/channels/${news}/users`]]) {
      await assert.rejects(pusher.get({ path, params }), { status: 400 }, path);
    }
  });

  test("closes the connections of a user, and no others", async () => {
    const signedIn = async (name) => {
      const client = await connect(server, { name });
      client.signin();
      await client.frames.next("pusher:signin_success");
      return client;
    };
    const ann = await signedIn("Ann"), also = await signedIn("Ann"), ben = await signedIn("Ben");
    await pusher.terminateUserConnections("Ann");
    for (const client of [ann, also]) {
      assert.equal((await client.errors.next(4009)).code, 4009);
      await client.states.next("disconnected"); // and does not come back by itself
    }
    await settled(ben);
  });

  test("refuses what is not signed, or not as it is", async () => {
    const body = JSON.stringify({ name: "e", channel: "news", data: "1" });
    const now = Date.now();
    for (const [why, status, method, path, how] of [
      ["nothing", 200, "POST", "/events", { body }],
      ["the secret", 401, "POST", "/events", { body, secret: "another" }],
      ["another body", 401, "POST", "/events", { body: body.replace("1", "2"), digest: body }],
      ["no digest", 401, "POST", "/events", { body, digest: null }],
      ["another path", 401, "GET", "/channels", { signed: `/apps/${shop.id}/channels/x` }],
      ["an hour old", 401, "POST", "/events", { body, at: now - 3_600_000 }],
      ["of the future", 401, "POST", "/events", { body, at: now + 3_600_000 }],
      ["five minutes old", 200, "POST", "/events", { body, at: now - 300_000 }],
      ["another app", 404, "GET", "/channels", { app: "99", signed: "/apps/99/channels" }],
      ["no such path", 404, "GET", "/stats", {}],
      ["the method", 405, "GET", "/events", {}],
    ]) {
      const answer = await ask(method, path, how);
      assert.equal(answer.status, status, why);
      if (status >= 400) assert.ok(answer.error && answer.code, why);
    }
  });

  test("refuses what is wrong or too much, whole", async () => {
    const name = unique("news-");
    const channel = await subscribe(await connect(server), name);
    const good = { name: "good", channel: name, data: "1" };
    for (const [status, path, body] of [
      [400, "/events", "no JSON"], [400, "/events", "[]"], [400, "/events", { ...good, name: "" }], [400, "/events", { ...good, name: "x".repeat(201) }],
      [400, "/events", { ...good, name: "pusher:x" }], [400, "/events", { ...good, channel: "no spaces" }], [400, "/events", { ...good, channel: "x".repeat(201) }],
      [400, "/events", { ...good, data: 7 }], [400, "/events", { ...good, socket_id: "x" }], [400, "/events", { name: "e", data: "1" }],
      [400, "/events", { name: "e", data: "1", channels: Array.from({ length: 101 }, (_, i) => `${name}-${i}`) }],
      [413, "/events", { ...good, data: "x".repeat(10_241) }],
      [400, "/batch_events", { batch: Array(11).fill(good) }], [400, "/batch_events", { batch: [good, { ...good, name: "" }] }],
      [413, "/batch_events", { batch: [good, { ...good, data: "x".repeat(10_241) }] }],
    ]) {
      const answer = await ask("POST", path, { body: typeof body === "string" ? body : JSON.stringify(body) });
      assert.equal(answer.status, status, JSON.stringify(body).slice(0, 80));
      assert.ok(answer.error);
    }
    await assert.rejects(pusher.trigger(name, "large", "x".repeat(11_000)), { status: 413 }); // what the library says of it
    await pusher.trigger(name, "most", "x".repeat(10_240));
    assert.equal((await channel.heard.next("most")).length, 10_240);
    assert.deepEqual(channel.heard.events, ["most"]);
  });

  test("passes data on byte for byte", async () => {
    const name = unique("news-");
    const client = await connect(server);
    await subscribe(client, name);
    const raw = hear(client.channel(name));
    const data = '{ "b":1,\n "a" : "\\u00e9 <&>" } ';
    await ask("POST", "/events", { body: JSON.stringify({ name: "odd", channel: name, data }) });
    assert.deepEqual(await raw.next("odd"), { b: 1, a: "é <&>" });
    await ask("POST", "/events", { body: JSON.stringify({ name: "text", channel: name, data: "no JSON: \u2028" }) });
    assert.equal(await raw.next("text"), "no JSON: \u2028");
  });
});
