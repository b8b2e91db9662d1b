// Windows on the chat: two people, a third who must not see what is not his, and a phone.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Window } from "../lib/chat.mjs";
import { launch } from "../lib/chromium.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { Redis } from "../lib/redis.mjs";
import { Server, build } from "../lib/server.mjs";

const welcome = "live: Welcome! Open this page in a second window, as somebody else, and say hello.\n\nWrite @ and a name to call somebody, and make a private room for two or more.";
const phoneSize = { viewport: { width: 390, height: 760 }, isMobile: true, hasTouch: true };

let app, browser;
before(async () => {
  browser = await launch();
  app = await build("chat");
});
after(() => all(browser?.close(), app?.clean()));

/** Waits for all, and fails if any fails: one that fails shall not keep the others from their end. */
async function all(...ends) {
  for (const { status, reason } of await Promise.allSettled(ends)) if (status === "rejected") throw reason;
}

let servers = 0;
const serve = (options) => Server.start(app, { name: `chat-${++servers}`, ...options });

async function stop(server) {
  assert.equal(await server?.stop() ?? 0, 0, server?.log);
}

/** Says things as somebody who has no browser; nobody is faster than the chat permits. */
async function program(server, name, room, texts) {
  const answer = await fetch(`${server.url}/login`, { method: "POST", redirect: "manual", body: new URLSearchParams({ name, hue: 52 }) });
  const [cookie] = answer.headers.get("set-cookie").split(";");
  for (const text of texts) await server.request("POST", "/live/messages", { room_id: room, text }, { Cookie: cookie });
}

describe("two people, one of them on short polls", () => {
  let server, ada, ben, eve;
  before(async () => {
    server = await serve();
    [ada, ben, eve] = await Promise.all([
      Window.open(browser, server.url, { name: "Ada", transport: "websocket" }),
      Window.open(browser, server.url, { name: "Ben", transport: "shortpoll" }),
      Window.open(browser, server.url, { name: "Eve", transport: "sse" }),
    ]);
  });
  after(async () => {
    await all(ada?.close(), ben?.close(), eve?.close());
    await stop(server);
  });

  test("hear each other, and what is edited and deleted", async () => {
    await ada.badge("WebSocket");
    await ben.badge("Short poll");
    for (const window of [ada, ben]) await window.hears(welcome);
    await ada.say("hello Ben");
    await ben.hears(welcome, "Ada: hello Ben");
    await ben.say("hello Ada");
    for (const window of [ada, ben]) await window.hears(welcome, "Ada: hello Ben", "Ben: hello Ada");
    await ada.edit("hello Ben", "good day, Ben");
    await ben.hears(welcome, "Ada: good day, Ben (edited)", "Ben: hello Ada");
    await ben.remove("hello Ada");
    await ada.hears(welcome, "Ada: good day, Ben (edited)");
    assert.equal(await ada.message("Welcome").getByRole("button").count(), 0, "one can change what somebody else wrote");
  });

  test("nothing that is written becomes part of the page", async () => {
    const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script> javascript:alert(1) @<b>Ada</b> https://example.com/"onmouseover="x`;
    await ben.say(evil);
    await ada.hearsLast(`Ben: ${evil}`);
    const message = ada.message("javascript:");
    assert.equal(await message.locator("img, script, b").count(), 0);
    assert.deepEqual(await message.locator(".text a").evaluateAll((links) => links.map((link) => [link.href, link.rel])), [["https://example.com/", "noopener noreferrer nofollow"]]);
    assert.notEqual(await ada.page.title(), "owned");
    await ben.remove("javascript:");
    await ada.hears(welcome, "Ada: good day, Ben (edited)");
  });

  test("one sees who is here, and who is typing", async () => {
    await ada.here("Ben", "Eve");
    await ben.here("Ada", "Eve");
    await ben.reads("#online-title", "Here now: 3");
    await ben.page.focus("#text");
    await ben.page.keyboard.type("I think");
    await ada.reads("#typing", "Ben is typing…");
    await ada.page.fill("#text", "Well");
    await eve.reads("#typing", "Ada and Ben are typing…");
    await ben.page.keyboard.press("Enter");
    await ada.reads("#typing", "");
    await ada.page.fill("#text", "");
    await ben.enter("random");
    await ada.here("Eve");
    await ada.until(() => [...document.querySelectorAll(".side .there")].map((there) => there.textContent), ["2", "1"]);
    await ben.enter("general");
    await ada.here("Ben", "Eve");
    await ben.remove("I think");
    await ada.hears(welcome, "Ada: good day, Ben (edited)");
  });

  test("what one has not read is counted, and read on all devices at once", async () => {
    const phone = await Window.open(browser, server.url, { name: "Ben", transport: "longpoll", ...phoneSize });
    await phone.isIn(undefined);
    await ben.enter("random");
    await ada.say("one");
    await ada.say("two, @ben");
    for (const window of [ben, phone]) {
      await window.rooms("general, 2 unread, you were called", "random");
      await window.bell(1);
    }
    await eve.rooms("general", "random"); // she looks on
    await phone.enter("general");
    await phone.hearsLast("Ada: one", "Ada: two, @ben");
    assert.equal(await phone.page.locator(".new:visible").count(), 1);
    assert.equal(await phone.message("two").locator("mark.mine").textContent(), "@ben");
    for (const window of [ben, phone]) {
      await window.rooms("general", "random");
      await window.bell(0);
    }
    await phone.close();
  });

  test("notifications are read on all devices at once, one and all", async () => {
    const desk = await Window.open(browser, server.url, { name: "Ben", transport: "websocket" });
    await desk.enter("random");
    await ben.enter("random");
    for (const text of ["@Ben first", "@Ben second", "@Ben third"]) await ada.say(text);
    for (const window of [ben, desk]) await window.bell(3);
    await desk.page.click("#bell");
    await desk.page.locator("#notes-list li").filter({ hasText: "@Ben second" }).getByRole("button", { name: "Mark as read" }).click();
    for (const window of [ben, desk]) await window.bell(2);
    await ben.page.click("#bell");
    await ben.page.click("#read-all");
    for (const window of [ben, desk]) await window.bell(0);
    // It leads to where one was called.
    await desk.page.locator("#notes-list li").filter({ hasText: "@Ben third" }).locator("a").click();
    await desk.isIn("general");
    await ben.closeMenus();
    await ben.enter("general");
    await ben.rooms("general", "random");
    await desk.close();
  });

  test("who looks elsewhere is told outside of the page, until it was read", async () => {
    const desk = await Window.open(browser, server.url, { name: "Eve", transport: "websocket" });
    // The system's own, as far as a test can see it.
    await desk.page.evaluate(() => {
      document.hasFocus = () => false;
      window.shown = [];
      window.Notification = class {
        static permission = "granted";
        constructor(title, { body }) {
          this.said = `${title}: ${body}`;
          window.shown.push(this);
        }
        close() {
          this.said = `(${this.said})`;
        }
      };
    });
    await eve.enter("random");
    await ada.say("@Eve, look here");
    await desk.until(() => window.shown.map((note) => note.said), ["Ada called you in general: @Eve, look here"]);
    assert.equal(await desk.page.locator(".called").count(), 1);
    await desk.bell(1); // it was shown, and nobody looked
    await eve.enter("general");
    await desk.until(() => window.shown.map((note) => note.said), ["(Ada called you in general: @Eve, look here)"]);
    for (const window of [desk, eve]) await window.bell(0);
    await desk.close();
  });

  test("a private room is seen by who is let in, and by nobody else", async () => {
    await ada.makeRoom("cellar", { hidden: true });
    await ada.say("is anybody here?");
    await ada.invite("Nemo");
    await ada.reads("#guest-error", "Nobody of this name has been here.");
    await ada.invite("ben");
    await ada.members("Ada", "Ben");
    await ada.closeMenus();
    await ben.rooms("general", "random", "cellar, private");
    await ben.enter("cellar");
    await ben.hears("Ada: is anybody here?");
    await ben.bell(0); // he is there, so the invitation is read
    await ada.here("Ben");
    await ben.say("I am, @Ada and @Eve");
    await ada.hearsLast("Ben: I am, @Ada and @Eve");
    assert.equal(await ada.message("I am").locator("mark").count(), 1, "somebody is called who must not know");
    await eve.rooms("general", "random");
    await eve.bell(0);
    // Not by the address either.
    await eve.page.evaluate(() => (location.hash = "#/3"));
    await eve.isIn("general");
    await eve.rooms("general", "random");
    await eve.here();
  });

  test("who is removed sees nothing of it any more", async () => {
    await ada.menu();
    await ada.page.getByRole("button", { name: "Remove Ben" }).click();
    await ada.members("Ada");
    await ada.closeMenus();
    await ada.here();
    await ben.toast("“cellar” is gone, or you are not in it any more.");
    await ben.isIn("general");
    await ben.rooms("general", "random");
    await ben.bell(0); // the invitation went with it
    await ada.say("now we are alone");
    await ada.enter("general");
    await ada.say("and back");
    await ben.hearsLast("Ada: and back");
    assert.ok(!(await ben.page.content()).includes("alone"));
  });

  test("who is too fast is told so kindly, and loses no word", async () => {
    const complaint = () => eve.page.textContent("#text-error");
    for (let n = 0; n < 100 && !(await complaint()); n++) await eve.say(`spam ${n}`);
    await eve.until(() => document.querySelector("#text-error").textContent.replace(/a second|\d+ seconds/, "…"), "You are faster than the others can read. Send it again in ….");
    assert.match(await eve.page.inputValue("#text"), /^spam \d+/);
    await eve.page.fill("#text", "");
    await ben.say("easy now");
    await eve.hearsLast("Ben: easy now");
  });

  test("the keyboard is enough", async () => {
    await ben.page.focus("#text");
    await ben.page.keyboard.type("hi @ad");
    await ben.until(() => [...document.querySelectorAll("#suggestions [role=option]")].map((option) => [option.lastChild.textContent, option.ariaSelected]), [["Ada", "true"]]);
    assert.equal(await ben.page.getAttribute("#text", "aria-activedescendant"), "suggestion-0");
    await ben.page.keyboard.press("Tab");
    assert.equal(await ben.page.inputValue("#text"), "hi @Ada ");
    await ben.page.keyboard.press("Shift+Enter");
    await ben.page.keyboard.type("over there");
    await ben.page.keyboard.press("Enter");
    await ada.hearsLast("Ben: hi @Ada \nover there");
    await ben.message("over there").locator(".tools:not([hidden])").waitFor({ state: "attached" }); // it can be edited once the server has named it
    await ben.page.keyboard.press("ArrowUp");
    await ben.page.keyboard.press("Control+A");
    await ben.page.keyboard.type("hi @Ada, here");
    await ben.page.keyboard.press("Enter");
    await ada.hearsLast("Ben: hi @Ada, here (edited)");
    assert.equal(await ben.page.evaluate(() => document.activeElement.id), "text");
    assert.equal(await ada.page.getAttribute("#news", "aria-live"), "polite");
  });

  test("who signs out is out, on this device", async () => {
    const other = await Window.open(browser, server.url, { name: "Eve", transport: "websocket" });
    const third = await other.context.newPage(); // another page of the same browser
    await third.goto(server.url);
    await third.locator("body:not([aria-busy])").waitFor();
    await other.page.click(".me");
    await other.page.getByRole("button", { name: "Sign out" }).click();
    for (const page of [other.page, third]) await page.locator("form[action='/login']").waitFor();
    await eve.badge("Server-sent events");
    await ada.say("still here, Eve?");
    await eve.hearsLast("Ada: still here, Eve?");
    other.complaints = other.complaints.filter((text) => !/401/.test(text));
    eve.forgive();
    await other.close();
  });
});

describe("a room with a history", () => {
  let server, cable, ada;
  const line = (n) => `P${Math.ceil(n / 9)}: line ${n}`;
  before(async () => {
    server = await serve();
    const lines = Array.from({ length: 72 }, (_, i) => i + 1);
    for (let p = 1; p <= 8; p++) await program(server, `P${p}`, 2, lines.slice(9 * (p - 1), 9 * p).map((n) => `line ${n}`));
    cable = await Proxy.start(server.port);
    ada = await Window.open(browser, cable.url, { name: "Ada", transport: "websocket" });
  });
  after(async () => {
    await all(ada?.close());
    cable?.stop();
    await stop(server);
  });

  test("shows its end, and more of it when one scrolls up", async () => {
    await ada.enter("random");
    await ada.hears(...Array.from({ length: 30 }, (_, i) => line(43 + i)));
    const top = () => ada.page.evaluate(() => document.querySelector("#scroll").scrollTop);
    assert.ok(await top() > 0, "the end is not in view");
    await ada.page.evaluate(() => document.querySelector("#scroll").scrollTo(0, 60));
    await ada.hears(...Array.from({ length: 60 }, (_, i) => line(13 + i)));
    assert.ok(await top() > 60, "what one was reading has moved");
    await ada.page.evaluate(() => document.querySelector("#scroll").scrollTo(0, 0));
    await ada.until(() => document.querySelectorAll(".message").length, 73);
    await ada.until(() => document.querySelector("#older").hidden, true);
  });

  test("leaves in peace who reads further up, and tells him", async () => {
    await ada.page.evaluate(() => document.querySelector("#scroll").scrollTo(0, 300));
    await program(server, "Ben", 2, ["news", "more news"]);
    await ada.reads("#newer", "2 new messages ↓");
    assert.ok(await ada.page.evaluate(() => document.querySelector("#scroll").scrollTop) < 400);
    await ada.rooms("general", "random, 2 unread");
    await ada.page.click("#newer");
    await ada.until(() => document.querySelector("#newer").hidden, true);
    await ada.rooms("general", "random");
  });

  test("misses nothing while the cable is out, and sends then what was written meanwhile", async () => {
    cable.cut();
    await ada.until(() => document.querySelector("#badge").dataset.state, "connecting");
    await ada.say("from the tunnel");
    await program(server, "Ben", 2, ["while you were away"]);
    cable.mend();
    await ada.hearsLast("Ben: while you were away", "Ada: from the tunnel");
    await ada.badge("WebSocket");
    ada.forgive();
  });

  test("fits a phone", async () => {
    const phone = await Window.open(browser, server.url, { name: "Ada", transport: "websocket", ...phoneSize });
    await phone.isIn(undefined);
    await phone.enter("random");
    await phone.say(`a very long word: ${"x".repeat(300)}`);
    await phone.until(() => document.querySelectorAll(".message.pending").length, 0);
    const size = await phone.page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector("#scroll").scrollWidth - document.querySelector("#scroll").clientWidth]);
    assert.deepEqual(size, [390, 0], "something is wider than the screen");
    await phone.page.getByRole("link", { name: "All rooms", exact: true }).click();
    await phone.isIn(undefined);
    await phone.rooms("general", "random");
    await phone.close();
  });
});

describe("two servers that share a log", () => {
  let redis, ada, ben;
  const nodes = [];
  before(async () => {
    redis = await Redis.start();
    for (let i = 0; i < 2; i++) nodes.push(await serve({ name: "chat-shared", broker: redis.url }));
    ada = await Window.open(browser, nodes[0].url, { name: "Ada", transport: "websocket" });
    ben = await Window.open(browser, nodes[1].url, { name: "Ben", transport: "shortpoll" });
  });
  after(async () => {
    const ends = [ada?.close(), ben?.close()];
    await Promise.allSettled(ends);
    await Promise.allSettled([redis?.stop(), ...nodes.map((node) => node.kill())]);
    await Promise.all(ends);
  });

  test("carry words, rooms and rights from one to the other", async () => {
    await ada.say("hello over there");
    await ben.hears(welcome, "Ada: hello over there");
    await ada.here("Ben");
    await ben.here("Ada");
    await ada.makeRoom("cellar", { hidden: true });
    await ada.invite("Ben");
    await ada.members("Ada", "Ben");
    await ben.rooms("general", "random", "cellar, private");
    await ben.bell(1);
    await ben.enter("cellar");
    await ada.page.getByRole("button", { name: "Remove Ben" }).click();
    await ben.isIn("general");
    await ben.bell(0);
    await ben.say("bye");
    await ada.closeMenus();
    await ada.enter("general");
    await ada.hearsLast("Ben: bye");
  });
});
