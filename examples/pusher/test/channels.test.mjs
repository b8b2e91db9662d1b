// Channels of every kind, users, and what clients tell each other.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, test } from "node:test";
import nacl from "tweetnacl";
import { client, connect, hear, library, serve, settled, shop, subscribe, suite, unique } from "./lib/harness.mjs";

suite("channels", () => {
  let server;
  before(async () => (server = await serve()));

  test("that are public need nobody's leave, and tell nothing any more once they are left", async () => {
    const pusher = await connect(server);
    const left = await subscribe(pusher, unique("news-")), kept = await subscribe(pusher, unique("news-"));
    const data = { text: "é <&> \u2028", list: [1, { a: null }] };
    await library(server).trigger([left.name, kept.name], "App\\Events\\Shipped", data);
    assert.deepEqual(await left.heard.next("App\\Events\\Shipped"), data);
    await kept.heard.next("App\\Events\\Shipped");
    pusher.unsubscribe(left.name);
    await settled(pusher);
    await library(server).trigger([left.name, kept.name], "again", 1);
    assert.equal(await kept.heard.next("again"), 1);
    assert.deepEqual(left.heard.events, ["App\\Events\\Shipped"]);
  });

  test("have names of up to 200 characters, and no others", async () => {
    const pusher = await connect(server);
    await subscribe(pusher, "a".repeat(200));
    pusher.subscribe("a".repeat(201));
    await pusher.errors.next("no code");
  });

  test("that are private are for those whom the application's endpoint lets in", async () => {
    const pusher = await connect(server);
    const own = await subscribe(pusher, "private-for-Ann");
    const others = hear(pusher.subscribe("private-for-Ben"));
    assert.equal((await others.next("pusher:subscription_error")).status, 403);
    await library(server).trigger("private-for-Ben", "secret", 1);
    await library(server).trigger("private-for-Ann", "open", 1);
    await own.heard.next("open");
    assert.deepEqual(others.events, []);
  });

  test("that are private want the app's signature for this connection, and refusing leaves it", async () => {
    const real = library(server), other = library(server, { ...shop, secret: "another secret" });
    const name = unique("private-");
    for (const auth of [() => other.authorizeChannel("1.1", name), () => real.authorizeChannel("1.1", name), (socket) => real.authorizeChannel(socket, `${name}x`),
      (socket) => ({ auth: `nobody:${real.authorizeChannel(socket, name).auth.split(":")[1]}` }), () => ({ auth: "" })]) {
      const pusher = await connect(server, { channelAuthorization: { customHandler: ({ socketId }, done) => done(null, auth(socketId)) } });
      const refused = await hear(pusher.subscribe(name)).next("pusher:subscription_error");
      assert.equal(refused.status, 401);
      assert.equal(refused.type, "AuthError");
      assert.equal(pusher.connection.state, "connected");
      await subscribe(pusher, unique("news-"));
    }
  });

  test("that are presence channels tell who is there, each user once", async () => {
    const name = unique("presence-");
    const ann = await subscribe(await connect(server, { name: "Ann" }), name);
    assert.equal(ann.first.count, 1);
    assert.deepEqual(ann.members.me, { id: "Ann", info: { name: "Ann" } });
    const ben = await connect(server, { name: "Ben" }), again = await connect(server, { name: "Ben" });
    const first = await subscribe(ben, name);
    assert.deepEqual(Object.keys(first.members.members).sort(), ["Ann", "Ben"]);
    assert.deepEqual(await ann.heard.next("pusher:member_added"), { id: "Ben", info: { name: "Ben" } });
    const second = await subscribe(again, name);
    assert.equal(second.members.count, 2);
    ben.disconnect();
    const cyd = await subscribe(await connect(server, { name: "Cyd" }), name);
    assert.equal((await ann.heard.next("pusher:member_added")).id, "Cyd"); // and not Ben a second time
    again.unsubscribe(name);
    assert.equal((await ann.heard.next("pusher:member_removed")).id, "Ben"); // the last of his connections
    assert.equal((await cyd.heard.next("pusher:member_removed")).id, "Ben");
    const told = ann.heard.all.filter(({ event }) => event.startsWith("pusher:member_")).map(({ event, data }) => `${event} ${data.id}`);
    assert.deepEqual(told, ["pusher:member_added Ben", "pusher:member_added Cyd", "pusher:member_removed Ben"]);
    assert.equal(ann.members.count, 2);
  });

  test("that are presence channels want a user, as he was signed", async () => {
    const real = library(server), name = unique("presence-");
    for (const data of ["{}", '{"user_id":""}', '{"user_info":{}}', `{"user_id":"${"x".repeat(129)}"}`]) {
      const pusher = await connect(server, { channelAuthorization: { customHandler: ({ socketId }, done) => {
        done(null, { auth: `${shop.key}:${real.config.token.sign(`${socketId}:${name}:${data}`)}`, channel_data: data });
      } } });
      assert.equal((await hear(pusher.subscribe(name)).next(({ event }) => event.startsWith("pusher:subscription_"))).status, 401, data);
    }
    const forged = await connect(server, { channelAuthorization: { customHandler: ({ socketId }, done) => {
      const { auth } = real.authorizeChannel(socketId, name, { user_id: "Eve" });
      done(null, { auth, channel_data: '{"user_id":"Ann"}' });
    } } });
    assert.equal((await hear(forged.subscribe(name)).next("pusher:subscription_error")).status, 401);
    const number = await connect(server, { channelAuthorization: { customHandler: ({ socketId }, done) => done(null, real.authorizeChannel(socketId, name, { user_id: 7 })) } });
    const { members } = await subscribe(number, name);
    assert.deepEqual(Object.keys(members.members), ["7"]);
    assert.ok(members.me);
    assert.equal(members.count, 1);
  });

  test("that are encrypted are read by their subscribers alone", async () => {
    const key = createHash("sha256").update("a master key").digest("base64");
    const real = library(server, shop, { encryptionMasterKeyBase64: key });
    const pusher = await connect(server, { nacl, channelAuthorization: { customHandler: ({ socketId, channelName }, done) => done(null, real.authorizeChannel(socketId, channelName)) } });
    for (const name of [unique("private-encrypted-"), unique("private-encrypted-cache-")]) {
      const channel = await subscribe(pusher, name);
      await real.trigger(name, "secret", { pin: 1234 });
      assert.deepEqual(await channel.heard.next("secret"), { pin: 1234 });
      const { data } = await pusher.frames.next("secret");
      assert.ok(data.ciphertext && !JSON.stringify(data).includes("pin"));
    }
    const late = await subscribe(await connect(server, { nacl }), unique("private-encrypted-")); // with the example's own endpoint
    assert.ok(late.subscribed);
  });

  test("that keep their last event tell it to who comes later, of every kind", async () => {
    const real = library(server);
    const ann = await connect(server), ben = await connect(server, { name: "Ben" });
    for (const prefix of ["cache-", "private-cache-", "presence-cache-"]) {
      const name = unique(prefix);
      const first = await subscribe(ann, name);
      await first.heard.next("pusher:cache_miss");
      await real.trigger(name, "price", { eur: 1 });
      await real.trigger(name, "price", { eur: 2 });
      await first.heard.next(({ data }) => data?.eur === 2);
      const late = await subscribe(ben, name);
      assert.deepEqual(await late.heard.next("price"), { eur: 2 });
      await real.trigger(name, "end", {});
      await late.heard.next("end");
      assert.deepEqual(late.heard.events, ["price", "end"]);
    }
    const before = unique("cache-"); // also when nobody was there
    await real.trigger(before, "price", { eur: 3 });
    assert.deepEqual(await (await subscribe(ann, before)).heard.next("price"), { eur: 3 });
  });

  test("tell their subscribers how many they are", async () => {
    const name = unique("news-");
    const one = await subscribe(await connect(server), name);
    const count = ({ event, data }) => event === "pusher:subscription_count" && data.subscription_count;
    await one.heard.next((heard) => count(heard) === 1);
    const pusher = await connect(server);
    const two = await subscribe(pusher, name);
    await one.heard.next((heard) => count(heard) === 2);
    await two.heard.next((heard) => count(heard) === 2);
    pusher.disconnect();
    await one.heard.next((heard) => count(heard) === 1);
    assert.equal(one.subscriptionCount, 1);
  });
});

suite("users", () => {
  let server;
  before(async () => (server = await serve()));

  /** Signs in, and waits until the client has its own channel. */
  async function signIn(options) {
    const pusher = await connect(server, options);
    pusher.own = hear(pusher.user);
    pusher.signin();
    await pusher.frames.next("pusher:signin_success");
    await pusher.frames.next("pusher_internal:subscription_succeeded");
    return pusher;
  }

  test("have a channel of their own, on each of their connections", async () => {
    const ann = await signIn(), also = await signIn(), ben = await signIn({ name: "Ben" });
    await library(server).sendToUser("Ann", "note", { for: "Ann" });
    for (const pusher of [ann, also]) assert.deepEqual(await pusher.own.next("note"), { for: "Ann" });
    await library(server).sendToUser("Ben", "note", { for: "Ben" });
    assert.deepEqual(await ben.own.next("note"), { for: "Ben" });
    assert.equal(ben.own.all.length, 1);
  });

  test("cannot follow the channel of another", async () => {
    const eve = await signIn({ name: "Eve" }), stranger = await connect(server);
    for (const pusher of [eve, stranger]) {
      pusher.send_event("pusher:subscribe", { channel: "#server-to-user-Ann", auth: library(server).authorizeChannel(pusher.connection.socket_id, "private-x").auth });
      const refused = await pusher.frames.next("pusher:subscription_error");
      assert.equal(refused.channel, "#server-to-user-Ann");
      await library(server).sendToUser("Ann", "secret", {});
      await settled(pusher);
      assert.ok(!pusher.frames.all.some(({ event }) => event === "secret"));
    }
  });

  test("who are not whom the app signed are refused", async () => {
    const pusher = client(server, { userAuthentication: { customHandler: (_, done) => done(null, library(server).authenticateUser("1.1", { id: "Ann" })) } });
    pusher.signin();
    assert.equal((await pusher.errors.next(4009)).code, 4009);
    await pusher.states.next("disconnected");
  });

  test("are on presence channels as whom they signed in", async () => {
    const pusher = await signIn({ channelAuthorization: { customHandler: ({ socketId, channelName }, done) => done(null, library(server).authorizeChannel(socketId, channelName)) } });
    const { members } = await subscribe(pusher, unique("presence-"));
    assert.deepEqual(members.me, { id: "Ann", info: { name: "Ann" } });
  });

  test("are told which of those whom they watch are online", async () => {
    const fay = await signIn({ name: "Fay", watch: "Gil,Hal" });
    const online = hear(fay.user.watchlist);
    const gil = await signIn({ name: "Gil" });
    assert.deepEqual((await online.next("online")).user_ids, ["Gil"]);
    const also = await signIn({ name: "Gil" });
    gil.disconnect();
    const hal = await signIn({ name: "Hal" });
    assert.deepEqual((await online.next("online")).user_ids, ["Hal"]);
    also.disconnect();
    assert.deepEqual((await online.next("offline")).user_ids.filter((id) => id === "Gil"), ["Gil"]);
    const late = await connect(server, { name: "Ida", watch: "Gil,Hal" });
    const first = hear(late.user.watchlist);
    late.signin();
    assert.deepEqual((await first.next("online")).user_ids, ["Hal"]);
    hal.disconnect();
    assert.ok((await first.next(({ event, data }) => event === "offline" && data.user_ids.includes("Hal"))));
  });
});

suite("client events", () => {
  let server;
  before(async () => (server = await serve()));

  test("go to the others on a private or a presence channel, and not back", async () => {
    for (const prefix of ["private-", "presence-"]) {
      const name = unique(prefix);
      const ann = await subscribe(await connect(server), name), ben = await subscribe(await connect(server, { name: "Ben" }), name);
      assert.ok(ann.trigger("client-typing", { at: [1, "é"] }));
      assert.deepEqual(await ben.heard.next("client-typing"), { at: [1, "é"] });
      await library(server).trigger(name, "end", {});
      await ann.heard.next("end");
      assert.deepEqual(ann.heard.events, ["end"]);
      const frame = ben.pusher.frames.all.find(({ event }) => event === "client-typing").data;
      assert.equal(frame.user_id, prefix === "presence-" ? "Ann" : undefined);
    }
  });

  test("are refused on public channels, encrypted ones, and those that the sender does not follow", async () => {
    const ann = await connect(server), ben = await connect(server, { name: "Ben" });
    const name = unique("news-"), elsewhere = unique("private-");
    await subscribe(ann, name);
    const hears = await subscribe(ben, name), theirs = await subscribe(ben, elsewhere);
    ann.send_event("client-x", {}, name);
    await ann.errors.next(4301);
    ann.send_event("client-x", {}, unique("private-encrypted-"));
    await ann.errors.next(4301);
    ann.send_event("client-x", {}, elsewhere);
    await ann.errors.next(4009);
    assert.equal(ann.connection.state, "connected");
    await library(server).trigger([name, elsewhere], "end", {});
    for (const channel of [hears, theirs]) {
      await channel.heard.next("end");
      assert.deepEqual(channel.heard.events, ["end"]);
    }
  });

  test("are limited to ten a second", async () => {
    const name = unique("private-");
    const ann = await connect(server), sent = await subscribe(ann, name), ben = await subscribe(await connect(server, { name: "Ben" }), name);
    for (let i = 0; i < 50; i++) sent.trigger("client-many", { i });
    assert.equal((await ann.errors.next(4301)).code, 4301);
    await settled(ann);
    const refused = ann.errors.all.length;
    await library(server).trigger(name, "end", {});
    await ben.heard.next("end");
    assert.equal(ben.heard.events.length - 1 + refused, 50);
    assert.ok(ben.heard.events.length > 10, "ten at once are let through");
    assert.equal(ann.connection.state, "connected");
  });

  test("are refused where the app has none", async () => {
    const without = await serve({ flags: ["-client-events=false"] });
    const ann = await connect(without);
    (await subscribe(ann, unique("private-"))).trigger("client-x", {});
    await ann.errors.next(4301);
  });
});
