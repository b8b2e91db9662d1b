// Browser windows on three servers that share a log, behind a proxy that sends each request to another one: windows do not
// notice which server they are on, nor that it died.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { Cluster } from "../lib/cluster.mjs";
import { Window } from "../lib/todo.mjs";
import { Writer, request } from "../lib/writer.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Closes windows, stops the cluster under them, and then fails if a window had to complain. */
async function end(cluster, ...windows) {
  const ends = windows.map((window) => window?.close());
  await Promise.allSettled(ends);
  await cluster?.stop();
  await Promise.all(ends);
}

describe("two windows on three servers that share a log", () => {
  let cluster, ada, ben;
  before(async () => (cluster = await Cluster.start("todo")));
  after(() => end(cluster, ada, ben));

  test("windows on two of them see what the other does", async () => {
    ada = await Window.open(browser, cluster.url, { name: "Ada", transport: "websocket", reducedMotion: "reduce" });
    ada.server = cluster.proxy.latest();
    ben = await Window.open(browser, cluster.url, { name: "Ben", transport: "websocket", reducedMotion: "reduce" });
    ben.server = cluster.proxy.latest();
    assert.notEqual(ada.server.port, ben.server.port, "both are on one server");
    await ada.addList("Groceries");
    await ben.lists("Welcome, 3 open", "Groceries, 0 open");
    await ben.openList("Groceries");
    await ada.add("milk");
    await ben.shows("[ ] milk");
    await ben.tick("milk");
    await ada.shows("[x] milk");
    await ada.says("milk", "ticked by Ben, just now");
  });

  test("a server that is killed takes no window with it", async () => {
    const restart = await cluster.kill(ada.server);
    await ben.add("eggs");
    await ada.shows("[ ] eggs", "[x] milk");
    await ada.badge("WebSocket");
    assert.notEqual(cluster.proxy.latest().port, ada.server.port);
    await ada.add("bread");
    await ada.tick("milk");
    for (const window of [ada, ben]) {
      await window.shows("[ ] bread", "[ ] eggs", "[ ] milk");
      await window.counts("3 open items");
      await window.lists("Welcome, 3 open", "Groceries, 3 open");
    }
    await restart();
    ada.forgive();
  });

  test("nor do all of them, one after the other", async () => {
    for (const [i, server] of [...cluster.servers].entries()) {
      const restart = await cluster.kill(server);
      await ada.add(`from Ada ${i}`);
      await ben.add(`from Ben ${i}`);
      for (const window of [ada, ben]) {
        await window.counts(`${5 + 2 * i} open items`);
        await window.badge("WebSocket");
      }
      await restart();
    }
    await ben.shows(...await ada.items());
    for (const window of [ada, ben]) window.forgive();
  });

  test("while the log is away they say that changes come late, and lose none", async () => {
    const before = await ada.items();
    await cluster.redis.kill();
    for (const window of [ada, ben]) await window.badge("Changes come late");
    await ada.add("late");
    await cluster.redis.resume();
    for (const window of [ada, ben]) {
      await window.badge("WebSocket");
      await window.shows("[ ] late", ...before);
      window.forgive();
    }
  });
});

const transports = {
  websocket: "WebSocket",
  sse: "Server-sent events",
  longpoll: "Long poll",
  shortpoll: "Short poll",
};

describe("four windows, each with a transport of its own, on three servers that share a log", () => {
  let cluster, list;
  const windows = {};
  before(async () => {
    cluster = await Cluster.start("todo");
    list = (await request(cluster.url, "POST", "/live/lists", { name: "Rounds" })).fields.id;
  });
  after(() => end(cluster, ...Object.values(windows)));

  /** Does something with every window at once, in no order. */
  const each = (act) => Promise.all(Object.entries(windows).map(([transport, window]) => act(window, transport)));

  test("all show the same list", async () => {
    await Promise.all(Object.keys(transports).map(async (transport) => {
      windows[transport] = await Window.open(browser, cluster.url, { name: `of ${transport}`, transport, reducedMotion: "reduce" });
    }));
    await each(async (window, transport) => {
      await window.openList("Rounds");
      await window.badge(transports[transport]);
      await window.reads("#empty", "Nothing here yet. What comes first?");
    });
  });

  test("servers are killed in turn while everybody writes, and all windows end with what the database has", async () => {
    const writer = Writer.start(cluster.url, list);
    const wanted = [];
    for (const [i, server] of [...cluster.servers].entries()) {
      const restart = await cluster.kill(server);
      await each((window, transport) => window.add(`${transport} ${i}`));
      wanted.push(...Object.keys(transports).map((transport) => `[ ] ${transport} ${i}`));
      await writer.more(10);
      await restart();
      await writer.more(5);
    }
    wanted.push(...await writer.stop());
    // Once all show this, no window has anything to send any more, and the database is at rest.
    await each((window) => window.holds(...wanted));
    const { rows } = await request(cluster.servers[0].url, "GET", `/live/todos?list_id=${list}&order=done,-created_at`);
    const stored = rows.map(({ fields }) => `[${fields.done ? "x" : " "}] ${fields.title}`);
    assert.deepEqual([...stored].sort(), [...wanted].sort());
    await each(async (window, transport) => {
      await window.shows(...stored);
      await window.badge(transports[transport]);
      await window.reads("#toast:not([hidden])", undefined);
      await window.reads("#add .error", "");
      await window.reads("#list[aria-busy]", undefined);
      window.forgive();
    });
    assert.equal(cluster.proxy.resyncs, 0, "somebody missed changes, and was told to begin anew");
  });

  test("when it is quiet every window shows each single change", async () => {
    const others = await windows.websocket.items();
    const open = others.filter((item) => item.startsWith("[ ]")), done = others.filter((item) => item.startsWith("[x]"));
    for (const [transport, window] of Object.entries(windows)) {
      const title = `quiet ${transport}`;
      await window.add(title);
      await each((window) => window.shows(`[ ] ${title}`, ...open, ...done));
      await window.tick(title);
      await each((window) => window.shows(...open, `[x] ${title}`, ...done));
      await window.says(title, `ticked by of ${transport}, just now`);
      done.unshift(`[x] ${title}`);
    }
  });
});
