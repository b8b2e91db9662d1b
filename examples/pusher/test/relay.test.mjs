// relay/pusher, with our own HTTP API in the place of a hosted service, and pusher-js behind that.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { before, test } from "node:test";
import { Redis } from "../../browser/lib/redis.mjs";
import { follow } from "./lib/follow.mjs";
import { connect, serve, shop, subscribe, suite, unique, until } from "./lib/harness.mjs";

/** Starts an application that relays to whom a port belongs, and waits until it does. */
async function relaying(port, { flags = [], ...options } = {}) {
  const server = await serve({ flags: ["-relay", `http://${shop.key}:${shop.secret}@127.0.0.1:${port}/apps/${shop.id}`, ...flags], ...options });
  await until(() => server.log, (log) => log.includes("is relayed"));
  return server;
}

/** Has the Go code of a server publish. */
async function say(server, text) {
  const answer = await fetch(`${server.url}/news`, { method: "POST", body: new URLSearchParams({ name: "Ann", text }) });
  assert.equal(answer.status, 204);
}

/** Waits for the last of all that was said to a channel, and asserts that all came, in order. Some may have come again. */
async function hears(channel, texts) {
  let text;
  while (text !== texts.at(-1)) ({ text } = await channel.heard.next("published"));
  assert.deepEqual([...new Set(channel.heard.all.filter(({ event }) => event === "published").map(({ data }) => data.text))], texts);
}

/** Stands before a service, and may refuse, or swallow the answer of one that was asked. */
async function gate(t, service) {
  const gate = { mode: "open", asked: 0 };
  const server = http.createServer(async (request, response) => {
    gate.asked++;
    const { mode } = gate;
    if (mode === "refuse") return void response.writeHead(503).end();
    if (mode === "swallow") gate.mode = "open";
    const forwarded = http.request({ host: "127.0.0.1", port: service.port, method: request.method, path: request.url, headers: request.headers }, (answer) => {
      if (mode === "swallow") return void answer.resume().on("end", () => response.destroy());
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    forwarded.on("error", () => response.destroy());
    request.pipe(forwarded);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  gate.port = server.address().port;
  return gate;
}

suite("a hub that relays", () => {
  let service, application;
  before(async () => {
    service = await serve();
    application = await relaying(service.port);
  });

  test("tells the clients of the service of the rows of a router", async () => {
    const name = unique(), elsewhere = unique();
    const list = await subscribe(await connect(service), `private-todos-${name}`), other = await subscribe(await connect(service), `private-todos-${elsewhere}`);
    const made = await application.request("POST", "/live/todos", { list: name, title: "milk" });
    const row = { id: Number(made.key), list: name, title: "milk", done: false, version: 1 };
    assert.deepEqual(await list.heard.next("created"), row);
    await application.request("PATCH", `/live/todos/${made.key}`, { done: true }, { "If-Match": '"1"' });
    assert.deepEqual(await list.heard.next("updated"), { ...row, done: true, version: 2 });
    await application.request("PATCH", `/live/todos/${made.key}`, { list: elsewhere }, { "If-Match": '"2"' });
    assert.deepEqual(await list.heard.next("deleted"), { id: row.id });
    assert.deepEqual(await other.heard.next("created"), { ...row, list: elsewhere, done: true, version: 3 });
    await application.request("DELETE", `/live/todos/${made.key}`, undefined, { "If-Match": '"3"' });
    assert.deepEqual(await other.heard.next("deleted"), { id: row.id });
    assert.deepEqual([list.heard.events, other.heard.events], [["created", "updated", "deleted"], ["created", "deleted"]]);
  });

  test("tells them the messages of a channel, and clients of live at the service, too", async (t) => {
    const channel = await subscribe(await connect(service), "news");
    const stream = await follow(t, service, "news");
    await say(application, "<b>é");
    assert.deepEqual(await channel.heard.next("published"), { name: "Ann", text: "<b>é" });
    assert.match(JSON.stringify(await stream.next("message")), /published.*<b>é/);
  });

  test("tells what a service refused for a time once it takes it, and again what it may not have taken, in order", async (t) => {
    const front = await gate(t, service);
    const behind = await relaying(front.port);
    const channel = await subscribe(await connect(service), "news");
    front.mode = "refuse";
    const before = front.asked, texts = Array.from({ length: 25 }, () => unique());
    for (const text of texts) await say(behind, text);
    await until(() => front.asked, (asked) => asked > before);
    front.mode = "open";
    await hears(channel, texts);
    assert.equal(channel.heard.events.length, texts.length, "what was refused was not taken, so that nothing came again");
    front.mode = "swallow";
    texts.push(unique());
    await say(behind, texts.at(-1));
    await until(() => channel.heard.events.length, (events) => events === texts.length + 1); // it came twice
    texts.push(unique());
    await say(behind, texts.at(-1));
    await hears(channel, texts);
  });

  test("goes on when any of its servers is killed", async (t) => {
    const redis = process.env.LIVE_TEST_BROKER ? undefined : await Redis.start();
    t.after(() => redis?.stop());
    const shared = { broker: redis?.url ?? process.env.LIVE_TEST_BROKER, name: unique("relay-"), flags: ["-lease", "3s"] };
    let one = await relaying(service.port, shared);
    const two = await relaying(service.port, shared);
    const channel = await subscribe(await connect(service), "news");
    const texts = [];
    const goesOn = async (server) => {
      for (const text of [unique(), unique(), unique()]) {
        texts.push(text);
        await say(server, text);
      }
      await hears(channel, texts);
    };
    await goesOn(one);
    await one.kill();
    await goesOn(two);
    one = await one.restart();
    t.after(() => one.kill());
    await until(() => one.log, (log) => log.includes("is relayed"));
    await two.kill();
    await goesOn(one);
  });
});
