// Two browser windows and one server, over each transport: what is done in one window is seen in the other, whatever
// happens on the way.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { Server, build } from "../lib/server.mjs";
import { Window } from "../lib/todo.mjs";

const transports = {
  websocket: "WebSocket",
  sse: "Server-sent events",
  longpoll: "Long poll",
  shortpoll: "Short poll",
};

const welcome = ["[ ] Click a title to change it", "[ ] Tick me, and watch the other window", "[ ] Open this page in a second window", "[x] Start the server"];

let app, browser;
before(async () => {
  browser = await launch();
  app = await build("todo");
});
after(() => all(browser?.close(), app?.clean()));

let servers = 0;
const serve = () => Server.start(app, { name: `todo-${++servers}` });

async function stop(server) {
  assert.equal(await server?.stop() ?? 0, 0, server?.log);
}

/** Waits for all, and fails if any fails: one that fails shall not keep the others from their end. */
async function all(...ends) {
  for (const { status, reason } of await Promise.allSettled(ends)) if (status === "rejected") throw reason;
}

/** A list for one test, made as a program would. */
async function makeList(server, name, ...titles) {
  const list = await server.request("POST", "/live/lists", { name });
  for (const title of titles) await server.request("POST", "/live/todos", { list_id: list.fields.id, title });
  return list;
}

for (const [transport, name] of Object.entries(transports)) {
  describe(`over ${transport}`, () => {
    const reducedMotion = transport === "websocket" ? "no-preference" : "reduce"; // rows move once, and then it is quick
    let server, ada, ben, cable;
    before(async () => {
      server = await serve();
      cable = await Proxy.start(server.port);
      [ada, ben] = await Promise.all([
        Window.open(browser, cable.url, { name: "Ada", transport, reducedMotion }),
        Window.open(browser, server.url, { name: "Ben", transport, reducedMotion }),
      ]);
    });
    after(async () => {
      await all(ada?.close(), ben?.close());
      await all(cable?.stop(), stop(server));
    });

    test("both windows are connected and show the first list", async () => {
      for (const window of [ada, ben]) {
        await window.badge(name);
        await window.lists("Welcome, 3 open");
        await window.shows(...welcome);
        await window.counts("3 open items");
      }
    });

    test("a list that one makes can be opened by the other", async () => {
      await ada.addList("Groceries");
      await ada.reads("#list-name", "Groceries");
      await ada.reads("#empty", "Nothing here yet. What comes first?");
      await ben.lists("Welcome, 3 open", "Groceries, 0 open");
      await ben.openList("Groceries");
    });

    test("what one adds, edits, ticks and deletes is seen by the other, and by whom", async () => {
      await ada.add("milk");
      await ada.add("eggs");
      for (const window of [ben, ada]) {
        await window.shows("[ ] eggs", "[ ] milk");
        await window.says("milk", "added by Ada, just now");
        await window.counts("2 open items");
        await window.lists("Welcome, 3 open", "Groceries, 2 open");
      }

      await ben.rename("milk", "oat milk");
      await ben.tick("eggs");
      for (const window of [ada, ben]) {
        await window.shows("[ ] oat milk", "[x] eggs");
        await window.says("oat milk", "renamed by Ben, just now");
        await window.says("eggs", "ticked by Ben, just now");
        await window.counts("1 open item");
        await window.lists("Welcome, 3 open", "Groceries, 1 open");
      }

      await ada.remove("oat milk");
      await ada.tick("eggs");
      for (const window of [ben, ada]) {
        await window.shows("[ ] eggs");
        await window.says("eggs", "reopened by Ada, just now");
        await window.counts("1 open item");
      }
    });

    test("rows come and go where a filter is on", async () => {
      await ada.filter("open");
      await ada.shows("[ ] eggs");
      await ben.filter("done");
      await ben.shows();
      await ben.reads("#empty", "Nothing is done yet.");

      await ada.tick("eggs");
      await ben.shows("[x] eggs");
      await ada.shows();
      await ada.counts("0 open items");
      await ada.reads("#empty", "All done. Well done!");

      await ben.tick("eggs");
      await ada.shows("[ ] eggs");
      await ben.shows();
      await ben.filter("all");
      await ada.filter("all");
    });

    test("what is refused is rolled back, and the field says why", async () => {
      await ada.add("   ");
      await ada.reads("#new-todo-error", "Please write something.");
      await ada.shows("[ ] eggs");

      await ada.add("x".repeat(201));
      await ada.reads("#new-todo-error", "That is 201 characters; 200 is the most.");
      assert.equal(await ada.page.inputValue("#new-todo"), "x".repeat(201), "what was typed is lost");
      await ada.shows("[ ] eggs");
      await ada.page.fill("#new-todo", "");

      await ada.rename("eggs", "y".repeat(250));
      await ada.reads("#todos .error", "That is 250 characters; 200 is the most.");
      assert.equal(await ada.page.inputValue("#todos .edit input"), "y".repeat(250), "what was typed is lost");
      await ada.page.keyboard.press("Escape");
      await ada.shows("[ ] eggs");
      await ben.shows("[ ] eggs");
    });

    test("who was offline while ten items changed misses none and has none twice", async () => {
      await makeList(server, "Shed", "nails", "paint", "rope", "glue");
      await Promise.all([ada.openList("Shed"), ben.openList("Shed")]);
      await ada.shows("[ ] glue", "[ ] rope", "[ ] paint", "[ ] nails");
      await ben.shows("[ ] glue", "[ ] rope", "[ ] paint", "[ ] nails");

      cable.cut();
      await ada.context.setOffline(true);
      await ada.badge("Offline");
      for (const title of ["one", "two", "three", "four"]) await ben.add(title);
      await ben.shows("[ ] four", "[ ] three", "[ ] two", "[ ] one", "[ ] glue", "[ ] rope", "[ ] paint", "[ ] nails");
      await ben.remove("glue");
      await ben.remove("nails");
      await ben.rename("paint", "green paint");
      await ben.tick("rope");
      await ben.rename("one", "first");
      await ben.tick("three");
      const now = ["[ ] four", "[ ] two", "[ ] first", "[ ] green paint", "[x] three", "[x] rope"];
      await ben.shows(...now);
      await ben.says("three", "ticked by Ben, just now");
      await ada.shows("[ ] glue", "[ ] rope", "[ ] paint", "[ ] nails");

      cable.mend();
      await ada.context.setOffline(false);
      await ada.shows(...now);
      await ada.badge(name);
      await ada.counts("4 open items");
      await ada.add("five");
      await ben.shows("[ ] five", ...now);
    });

    test("a server that was killed and lost its history shows the rows as they are", async () => {
      await server.kill();
      // While it is away, another program changes the database.
      const other = await Server.start(app, { name: server.name });
      const list = (await other.request("GET", "/live/lists?name=Shed")).rows[0];
      await other.request("POST", "/live/todos", { list_id: list.fields.id, title: "six" });
      const [rope] = (await other.request("GET", "/live/todos?title=rope")).rows;
      await other.request("DELETE", `/live/todos/${rope.key}`, undefined, { "If-Match": `"${rope.version}"` });
      await other.stop();

      server = await server.restart();
      const now = ["[ ] six", "[ ] five", "[ ] four", "[ ] two", "[ ] first", "[ ] green paint", "[x] three"];
      await Promise.all([ada, ben].map(async (window) => {
        await window.shows(...now);
        await window.badge(name);
        await window.counts("6 open items");
        window.forgive();
      }));
      await ben.tick("six");
      await ada.says("six", "ticked by Ben, just now");
    });

    test("a server that is restarted says goodbye and is found again", async () => {
      assert.equal(await server.stop(), 0, server.log);
      server = await server.restart();
      await ada.badge(name);
      await ada.tick("six");
      await ben.says("six", "reopened by Ada, just now");
      await Promise.all([ada, ben].map(async (window) => {
        await window.badge(name);
        window.forgive();
      }));
    });

    test("a list that is deleted goes with all that was in it", async () => {
      await ada.page.click("#remove");
      await ada.reads("#confirm-question", "Delete “Shed”?");
      await ada.page.getByRole("button", { name: "Delete the list" }).click();
      for (const window of [ada, ben]) {
        await window.lists("Welcome, 3 open", "Groceries, 1 open");
        await window.reads("#list-name", "Welcome");
        await window.shows(...welcome);
      }
      await ben.reads("#toast", "“Shed” was deleted.");
      assert.equal((await server.request("GET", "/live/todos?title=six")).rows.length, 0);
    });
  });
}

describe("whichever transport", () => {
  let server;
  before(async () => {
    server = await serve();
  });
  after(() => stop(server));

  /** Opens a window that is closed when the test ends. */
  async function open(t, url, options) {
    const window = await Window.open(browser, url, { reducedMotion: "reduce", ...options });
    t.after(() => window.close());
    return window;
  }

  /** Opens a list in a window of Ada's and in one of Ben's. */
  async function openBoth(t, list) {
    const both = await Promise.all(["Ada", "Ben"].map((name) => open(t, server.url, { name })));
    await Promise.all(both.map((window) => window.openList(list)));
    return both;
  }

  test("windows on different transports see each other", async (t) => {
    await makeList(server, "Mixed", "tea");
    const ada = await open(t, server.url, { name: "Ada", transport: "websocket" });
    const ben = await open(t, server.url, { name: "Ben", transport: "shortpoll" });
    await ada.badge("WebSocket");
    await ben.badge("Short poll");
    await Promise.all([ada.openList("Mixed"), ben.openList("Mixed")]);
    await ada.add("coffee");
    await ben.shows("[ ] coffee", "[ ] tea");
    await ben.tick("tea");
    await ada.says("tea", "ticked by Ben, just now");
  });

  test("where WebSockets are refused, server-sent events are used", async (t) => {
    const middlebox = await Proxy.start(server.port, { refuseUpgrade: true });
    const ada = await open(t, middlebox.url, { name: "Ada" });
    t.after(() => middlebox.stop());
    await ada.badge("Server-sent events");
    await makeList(server, "Middlebox");
    await ada.page.locator("#lists", { hasText: "Middlebox" }).waitFor();
    ada.forgive();
  });

  test("a title that two change at once is nobody's to lose", async (t) => {
    await makeList(server, "Party", "cake");
    const [ada, ben] = await openBoth(t, "Party");
    await ada.type("cake", "chocolate cake");
    await ben.rename("cake", "cheese cake");
    await ada.says("cheese cake", "renamed by Ben, just now");
    await ada.page.keyboard.press("Enter");
    await ada.reads("#todos .conflict .story", "Ben changed this to “cheese cake” while you were writing “chocolate cake”.");
    await ada.shows("[ ] cheese cake");
    await ada.page.getByRole("button", { name: "Save mine" }).click();
    await ben.shows("[ ] chocolate cake");
    await ben.says("chocolate cake", "renamed by Ada, just now");
  });

  test("who writes to a row that has moved on is told kindly", async (t) => {
    await makeList(server, "Late", "bus");
    const cable = await Proxy.start(server.port);
    const ada = await open(t, cable.url, { name: "Ada", transport: "shortpoll" });
    const ben = await open(t, server.url, { name: "Ben" });
    t.after(() => cable.stop());
    await Promise.all([ada.openList("Late"), ben.openList("Late")]);
    await ada.shows("[ ] bus");
    // Ada's window hears nothing while Ben renames; what she does goes out when she is back.
    cable.cut();
    await ada.context.setOffline(true);
    await ada.badge("Offline");
    await ben.rename("bus", "night bus");
    await ben.says("night bus", "renamed by Ben, just now");
    await ada.rename("bus", "early bus");
    await ada.shows("[ ] early bus");
    cable.mend();
    await ada.context.setOffline(false);
    await ada.reads("#todos .conflict .story", "Ben changed this to “night bus” while you were writing “early bus”.");
    await ada.shows("[ ] night bus");
    await ada.page.getByRole("button", { name: "Keep theirs" }).click();
    ada.forgive();
  });

  test("the keyboard is enough", async (t) => {
    await makeList(server, "Keys", "first", "second");
    const ada = await open(t, server.url, { name: "Ada" });
    await ada.openList("Keys");
    const { keyboard } = ada.page;
    await ada.page.focus("#new-todo");
    await keyboard.type("third");
    await keyboard.press("Enter");
    await ada.shows("[ ] third", "[ ] second", "[ ] first");
    await ada.says("third", "added by Ada, just now");

    await keyboard.press("Tab"); // Add
    await keyboard.press("Tab"); // the tick of the first row
    await keyboard.press("Space");
    await ada.shows("[ ] second", "[ ] first", "[x] third");
    await ada.says("third", "ticked by Ada, just now");
    await keyboard.press("Space"); // the row has moved, and the focus with it
    await ada.says("third", "reopened by Ada, just now");
    await keyboard.press("Tab"); // its title
    await keyboard.press("Enter");
    await keyboard.type("changed my mind");
    await keyboard.press("Escape");
    await ada.shows("[ ] third", "[ ] second", "[ ] first");
    await keyboard.press("Enter"); // the focus is back on the title
    await keyboard.type("3rd");
    await keyboard.press("Enter");
    await ada.shows("[ ] 3rd", "[ ] second", "[ ] first");
    await keyboard.press("Tab"); // its delete button
    await keyboard.press("Enter");
    await ada.shows("[ ] second", "[ ] first");
    await keyboard.press("Enter"); // the focus is on the next row's
    await ada.shows("[ ] first");
  });

  test("done items are cleared for everybody", async (t) => {
    await makeList(server, "Clear", "a", "b", "c");
    const [ada, ben] = await openBoth(t, "Clear");
    await ada.tick("a");
    await ada.tick("c");
    await ben.shows("[ ] b", "[x] c", "[x] a");
    await ben.page.click("#clear");
    await ada.shows("[ ] b");
  });

  test("a list is renamed, and an empty name is refused", async (t) => {
    await makeList(server, "Nmae");
    const [ada, ben] = await openBoth(t, "Nmae");
    await ada.page.click("#rename");
    await ada.page.fill("#heading input", "");
    await ada.page.keyboard.press("Enter");
    await ada.reads("#heading-error", "Please write something.");
    await ada.page.fill("#heading input", "Name");
    await ada.page.keyboard.press("Enter");
    await ben.reads("#list-name", "Name");

    await ada.page.dblclick("#list-name");
    await ada.page.fill("#heading input", "Title");
    await ben.page.click("#rename");
    await ben.page.fill("#heading input", "Headline");
    await ben.page.keyboard.press("Enter");
    await ada.reads("#list-name", "Headline");
    await ada.page.keyboard.press("Enter");
    await ada.reads("#toast", "Ben renamed this list while you were typing.");
    await ada.reads("#list-name", "Headline");

    await ben.page.fill("#new-list", "  ");
    await ben.page.press("#new-list", "Enter");
    await ben.reads("#new-list-error", "Please write something.");
  });

  test("a new visitor gets a name, and may take another", async (t) => {
    const window = await open(t, server.url, { transport: "sse" });
    const given = await window.page.locator(".me .name").textContent();
    assert.match(given, /^[A-Z][a-z]+ [A-Z][a-z]+$/);
    await window.page.click(".me");
    await window.page.fill("#my-name", "  Grace   Hopper ");
    await Promise.all([window.page.waitForURL("**/?transport=sse*"), window.page.keyboard.press("Enter")]);
    await window.reads(".me .name", "Grace Hopper");
    await window.add("compile");
    await window.says("compile", "added by Grace Hopper, just now");
    await window.badge("Server-sent events");
  });

  test("when the last list is gone a new one is a beginning", async (t) => {
    const ada = await open(t, server.url, { name: "Ada" });
    for (const { key, version } of (await server.request("GET", "/live/lists")).rows) {
      await server.request("DELETE", `/live/lists/${key}`, undefined, { "If-Match": `"${version}"` });
    }
    await ada.reads("#list-name", "No lists");
    await ada.reads("#empty", "Make a list to begin with.");
    await ada.addList("Again");
    await ada.reads("#list-name", "Again");
    await ada.add("begin");
    await ada.says("begin", "added by Ada, just now");
    await ada.counts("1 open item");
    assert.doesNotMatch(await ada.page.locator("#toast").textContent(), /Again/);
  });
});
