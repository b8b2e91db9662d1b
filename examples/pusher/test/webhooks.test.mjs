// Webhooks: posted to an endpoint that checks them with the server library.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { before, after, test } from "node:test";
import { Heard, connect, library, serve, settled, shop, subscribe, suite, unique } from "./lib/harness.mjs";

/** An application's endpoint. What it is told is heard, when the library takes it for the app's. */
class Endpoint {
  static async start() {
    const endpoint = new Endpoint();
    endpoint.heard = new Heard();
    endpoint.refuse = undefined; // the first request that has this text is answered with 500
    endpoint.refused = new Heard();
    endpoint.forged = [];
    endpoint.server = http.createServer(async (request, response) => {
      const rawBody = Buffer.concat(await request.toArray()).toString();
      const webhook = endpoint.library.webhook({ headers: request.headers, rawBody });
      if (!webhook.isValid()) endpoint.forged.push(rawBody);
      if (endpoint.refuse && rawBody.includes(endpoint.refuse)) {
        endpoint.refuse = undefined;
        endpoint.refused.add("refused", rawBody);
        return void response.writeHead(500).end();
      }
      response.writeHead(200).end();
      assert.ok(Math.abs(webhook.getTime() - Date.now()) < 600_000);
      for (const event of webhook.getEvents()) endpoint.heard.add(event.name, event);
    });
    endpoint.server.listen(0, "127.0.0.1");
    await once(endpoint.server, "listening");
    endpoint.url = `http://127.0.0.1:${endpoint.server.address().port}/hook`;
    return endpoint;
  }

  /** Waits for an event of a channel. */
  next(name, channel) {
    return this.heard.next(({ event, data }) => event === name && data.channel === channel);
  }

  /** What came of a channel. */
  of(channel) {
    return this.heard.all.filter(({ data }) => data.channel === channel).map(({ data: { name, channel, ...rest } }) => ({ name, ...rest }));
  }
}

suite("webhooks", () => {
  let endpoint, server;
  before(async () => {
    endpoint = await Endpoint.start();
    server = await serve({ flags: ["-webhook", endpoint.url] });
    endpoint.library = library(server);
  });
  after(() => {
    endpoint.server.close();
    endpoint.server.closeAllConnections();
    assert.deepEqual(endpoint.forged, []);
  });

  test("tell of the first subscription of a server that has just started", async () => {
    const name = unique("private-first-");
    await subscribe(await connect(server), name);
    await endpoint.next("channel_occupied", name);
  });

  test("tell of a channel's first and last subscription, and how many there are", async () => {
    const name = unique("news-");
    const ann = await connect(server), ben = await connect(server, { name: "Ben" });
    await subscribe(ann, name);
    await endpoint.next("subscription_count", name);
    await subscribe(ben, name);
    await endpoint.next("subscription_count", name);
    ann.unsubscribe(name);
    await endpoint.next("subscription_count", name);
    ben.unsubscribe(name);
    await endpoint.next("channel_vacated", name);
    assert.deepEqual(endpoint.of(name), [
      { name: "channel_occupied" },
      { name: "subscription_count", subscription_count: 1 },
      { name: "subscription_count", subscription_count: 2 },
      { name: "subscription_count", subscription_count: 1 },
      { name: "channel_vacated" },
    ]);
  });

  test("tell of users who come and go, not of their connections, and wait for those who are lost", async () => {
    for (let back = Infinity; back > 2000;) { // on a machine that is so slow there is nothing to see: once more
      const name = unique("presence-");
      const ann = await connect(server), ben = await connect(server, { name: "Ben" }), also = await connect(server, { name: "Ben" }), last = await connect(server, { name: "Ben" });
      for (const pusher of [ann, ben, also]) await subscribe(pusher, name);
      await endpoint.next("member_added", name);
      await endpoint.next("member_added", name);
      const lost = Date.now();
      ben.disconnect();
      also.disconnect();
      await subscribe(last, name); // he is back within three seconds
      await settled(last);
      back = Date.now() - lost;
      last.unsubscribe(name);
      await endpoint.next("member_removed", name);
      ann.unsubscribe(name);
      await endpoint.next("channel_vacated", name);
      if (back > 2000) continue;
      const told = endpoint.of(name).filter((event) => event.name.startsWith("member_"));
      assert.deepEqual(told, [
        { name: "member_added", user_id: "Ann" }, { name: "member_added", user_id: "Ben" },
        { name: "member_removed", user_id: "Ben" }, { name: "member_removed", user_id: "Ann" },
      ]);
    }
  });

  test("tell of client events, in their order", async () => {
    for (const [prefix, user] of [["private-", {}], ["presence-", { user_id: "Ann" }]]) {
      const name = unique(prefix);
      const ann = await connect(server);
      const channel = await subscribe(ann, name);
      for (const n of [1, 2, 3]) channel.trigger("client-step", { n });
      for (const n of [1, 2, 3]) {
        const { data, event, socket_id, user_id } = await endpoint.next("client_event", name);
        assert.deepEqual({ data: JSON.parse(data), event, socket_id, user_id }, { data: { n }, event: "client-step", socket_id: ann.connection.socket_id, user_id: user.user_id });
      }
    }
  });

  test("tell of a cache channel that has nothing to say", async () => {
    const name = unique("cache-");
    const channel = await subscribe(await connect(server), name);
    await channel.heard.next("pusher:cache_miss");
    await endpoint.next("cache_miss", name);
  });

  test("are tried again as they were, and those behind them wait", async () => {
    const name = unique("private-");
    const ann = await connect(server);
    endpoint.refuse = name;
    await subscribe(ann, name);
    await endpoint.refused.next("refused");
    ann.unsubscribe(name);
    await endpoint.next("channel_vacated", name);
    assert.equal(endpoint.refused.all.length, 1);
    assert.deepEqual(endpoint.of(name).map((event) => event.name).filter((name) => name !== "subscription_count"), ["channel_occupied", "channel_vacated"]);
  });
});
