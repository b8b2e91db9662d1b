// The connection: its handshake, its life, and how it ends.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { before, test } from "node:test";
import { client, connect, library, serve, shop, subscribe, suite, unique, until, within } from "./lib/harness.mjs";
import { Socket } from "./lib/socket.mjs";

suite("a connection", () => {
  let server;
  before(async () => (server = await serve({ flags: ["-activity-timeout", "1"] })));
  const open = (key = shop.key, query = "protocol=7&client=js&version=8.6.0&flash=false") => Socket.open(`${server.url}/app/${key}?${query}`);

  test("is established with a socket id and the activity timeout", async () => {
    const pusher = await connect(server);
    assert.match(pusher.connection.socket_id, /^\d+\.\d+$/);
    const raw = await open();
    const { data } = await raw.heard.next("pusher:connection_established");
    assert.equal(typeof data, "string");
    assert.equal(JSON.parse(data).activity_timeout, 1);
    raw.close();
  });

  test("that is silent is kept alive by pings of pusher-js, which are answered", async () => {
    const pusher = await connect(server);
    for (let i = 0; i < 2; i++) await pusher.frames.next("pusher:pong");
    assert.equal(pusher.connection.state, "connected");
  });

  test("of a client that says nothing is asked by the server", async () => {
    const raw = await open();
    await raw.heard.next("pusher:ping");
    raw.send({ event: "pusher:pong", data: {} });
    raw.send({ event: "pusher:ping" }); // without data
    assert.deepEqual(await raw.heard.next("pusher:pong"), { event: "pusher:pong", data: "{}" });
    raw.close();
  });

  test("to an app that does not exist is refused with 4001 for good", async () => {
    const pusher = client(server, { app: { ...shop, key: "nobodys-key" } });
    assert.equal((await pusher.errors.next(4001)).code, 4001);
    await pusher.states.next("disconnected");
    const raw = await open("nobodys-key");
    assert.equal((await raw.heard.next("pusher:error")).data.code, 4001);
    assert.equal(await raw.heard.next("closed"), 4001);
  });

  test("without TLS to an app that wants it is refused with 4000, and comes back over TLS at once", async (t) => {
    const strict = await serve({ flags: ["-tls-only"] });
    const secure = net.createServer();
    secure.listen(0, "127.0.0.1");
    await once(secure, "listening");
    t.after(() => secure.close());
    const hello = once(secure, "connection").then(([socket]) => once(socket.on("error", () => {}), "data").then(([bytes]) => (socket.destroy(), bytes[0])));
    const pusher = client(strict, { wssPort: secure.address().port });
    assert.equal((await pusher.errors.next(4000)).code, 4000);
    assert.equal(await within(hello, () => "a connection over TLS"), 22); // the record of a handshake
    pusher.disconnect();
  });

  test("to an app that is disabled is refused with 4003 for good, and so are its requests", async () => {
    const off = await serve({ apps: [{ ...shop, id: "on", key: "on-key" }, shop], flags: ["-disable", shop.id] });
    const pusher = client(off);
    assert.equal((await pusher.errors.next(4003)).code, 4003);
    await pusher.states.next("disconnected");
    await assert.rejects(library(off).trigger("news", "x", {}), ({ status }) => status === 403);
    await connect(off, { app: { ...shop, id: "on", key: "on-key" } });
  });

  test("to an app that has as many as it may is refused with 4004, until one of them goes", async () => {
    const small = await serve({ flags: ["-max-connections", "1"] });
    const first = await connect(small), second = client(small);
    assert.equal((await second.errors.next(4004)).code, 4004);
    await second.states.next("disconnected");
    first.disconnect();
    await until(async () => {
      const third = client(small);
      await third.states.next(({ event }) => event === "connected" || event === "disconnected");
      return third.connection.state;
    }, (state) => state === "connected"); // the server learns a moment later that the first has gone
  });

  test("of another protocol is refused, the WebSocket's handshake first", async () => {
    for (const [query, code] of [["client=js&version=8.6.0", 4008], ["protocol=4&version=1", 4007], ["protocol=8&version=8.6.0", 4007], ["protocol=x&version=8.6.0", 4006]]) {
      const raw = await open(shop.key, query);
      assert.equal((await raw.heard.next("pusher:error")).data.code, code, query);
      assert.equal(await raw.heard.next("closed"), code, query);
    }
    for (const protocol of [5, 6, 7]) {
      const raw = await open(shop.key, `protocol=${protocol}&client=other&version=1.0&more=parameters`);
      await raw.heard.next("pusher:connection_established");
      raw.close();
    }
  });

  test("survives whatever its client sends, and so do the others", async () => {
    const pusher = await connect(server);
    const channel = await subscribe(pusher, unique("news-"));
    const raw = await open();
    await raw.heard.next("pusher:connection_established");
    for (const text of ["", "{", "[]", "null", "7", "{}", '{"event":7}', '{"event":"pusher:unsubscribe"}', '{"event":"pusher:subscribe","data":{}}',
      '{"event":"pusher:subscribe","data":{"channel":"no spaces"}}', '{"event":"pusher:signin"}', '{"event":"pusher_internal:member_added","data":"{}"}']) {
      raw.send(text);
      assert.equal((await raw.heard.next("pusher:error")).data.code, null, text);
    }
    raw.send({ event: "pusher:subscribe", data: { channel: channel.name } });
    assert.equal((await raw.heard.next("pusher_internal:subscription_succeeded")).channel, channel.name);
    await library(server).trigger(channel.name, "shipped", "1");
    await raw.heard.next("shipped");
    await channel.heard.next("shipped");
    raw.close();
  });

  test("is had by several apps beside each other, with channels of their own", async () => {
    const depot = { id: "2", key: "depot-key", secret: "depot-secret" };
    const both = await serve({ apps: [shop, depot] });
    const name = unique("private-");
    const here = await subscribe(await connect(both), name);
    const there = await subscribe(await connect(both, { app: depot }), name);
    await library(both, depot).trigger(name, "there", {});
    await library(both).trigger(name, "here", {});
    await here.heard.next("here");
    await there.heard.next("there");
    await library(both, depot).trigger(name, "end", {});
    await there.heard.next("end");
    assert.deepEqual(here.heard.events, ["here"]);
    assert.deepEqual(there.heard.events, ["there", "end"]);
  });

  test("to a server that stops is closed with 4200, and comes back to the next one at once", async (t) => {
    const old = await serve(), next = await serve();
    let to = old.port;
    const front = net.createServer((from) => {
      const server = net.connect(to, "127.0.0.1");
      for (const [one, other] of [[from, server], [server, from]]) {
        one.on("error", () => {});
        one.on("close", () => other.destroy());
        one.pipe(other);
      }
    });
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    t.after(() => front.close());
    const pusher = await connect({ url: next.url, port: front.address().port });
    const raw = await Socket.open(`http://127.0.0.1:${front.address().port}/app/${shop.key}?protocol=7`);
    const name = unique("private-");
    const channel = await subscribe(pusher, name);
    const before = pusher.connection.socket_id;
    to = next.port;
    const stopped = old.stop();
    assert.equal(await raw.heard.next("closed"), 4200);
    await channel.heard.next("pusher:subscription_succeeded"); // by itself, with a new signature
    assert.equal(await stopped, 0);
    assert.notEqual(pusher.connection.socket_id, before);
    await library(next).trigger(name, "back", {});
    await channel.heard.next("back");
  });
});
