// Two browser windows at the desk, on two servers that share a log, one of them on short polls: who is here, who writes where, and
// that nobody overwrites what they have not seen.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, launchMortal } from "../lib/chromium.mjs";
import { Window } from "../lib/editing.mjs";
import { Proxy } from "../lib/proxy.mjs";
import { Redis } from "../lib/redis.mjs";
import { Server, build } from "../lib/server.mjs";

const lease = 5; // seconds after which a crashed browser is gone; for people it is 45

let app, browser, redis;
const servers = [];
before(async () => {
  browser = await launch();
  app = await build("editing");
  redis = await Redis.start();
  for (let i = 0; i < 2; i++) servers.push(await Server.start(app, { name: "desk", broker: redis.url, flags: ["-lease", `${lease}s`] }));
});
after(async () => {
  await Promise.allSettled([browser?.close(), ...servers.map((server) => server.kill())]);
  await redis?.stop();
  await app?.clean();
});

/** Opens a window that is closed when the test ends. */
async function open(t, server, options) {
  const window = await Window.open(browser, server.url, { reducedMotion: "reduce", ...options });
  t.after(() => window.close());
  return window;
}

/** Opens an article in a window of Ada's, on one server and a stream, and in one of Ben's, on the other and short polls. */
function openBoth(t, article, options) {
  return Promise.all([
    open(t, servers[0], { name: "Ada", article, transport: "websocket", ...options }),
    open(t, servers[1], { name: "Ben", article, transport: "shortpoll", ...options }),
  ]);
}

/** An article for one test, begun by Ada as a program would, or by somebody else, and its id. */
async function begin(title, fields = {}, person = 1) {
  const article = { title, section: "Town", summary: "A summary", body: "A text", ready: false, private: false, ...fields };
  return (await servers[0].request("POST", "/live/articles", article, { Cookie: `person=${person}` })).fields.id;
}

/** Says how long something took that people wait for. */
async function timed(t, what, wait) {
  const start = Date.now();
  await wait();
  t.diagnostic(`${what} after ${Date.now() - start} ms`);
}

/** The article as it is stored. */
async function stored(id) {
  return (await servers[1].request("GET", `/live/articles/${id}`, undefined, { Cookie: "person=1" })).fields;
}

describe("without JavaScript", () => {
  const javaScriptEnabled = false;

  test("what two write in different fields is merged", async (t) => {
    const article = await begin("Rain");
    const [ada, ben] = await openBoth(t, article, { javaScriptEnabled });
    await ada.type("title", "Rain, again");
    await ada.press("Save");
    await ben.type("body", "It rains.\n\nAnd how.");
    await ben.press("Save");
    assert.equal(await ben.page.textContent("#story"), "Saved.");
    const { title, body, version } = await stored(article);
    assert.deepEqual({ title, body, version }, { title: "Rain, again", body: "It rains.\n\nAnd how.", version: 3 });
  });

  test("what two write in one field is asked, and nothing is overwritten unseen", async (t) => {
    const article = await begin("Snow", { body: "White.\nCold." });
    const [ada, ben] = await openBoth(t, article, { javaScriptEnabled });
    await ada.type("body", "White.\nVery cold.");
    await ada.press("Save");
    await ben.type("body", "White.\nToo cold.");
    await ben.type("title", "Snow in May");
    await ben.press("Save");
    assert.equal(await ben.page.textContent("#t-body .text"), "White.\nVery cold.");
    assert.equal(await ben.page.textContent("#t-body .diff"), "White.\nVeryToo cold.");
    assert.equal(await ben.page.inputValue("#f-body"), "White.\nToo cold.", "what was written is lost");
    assert.equal((await stored(article)).body, "White.\nVery cold.", "a stale save was stored");
    assert.match(await ben.page.textContent("#story"), /Ada/);
    await ben.press("Save anyway");
    const { title, body } = await stored(article);
    assert.deepEqual({ title, body }, { title: "Snow in May", body: "White.\nToo cold." });
    ben.forgive(); // the browser's own word on a 409
  });
});

describe("who is here", () => {
  test("two see each other come, write, stop and go, and the list shows both", async (t) => {
    const article = await begin("Fog");
    const [desk, ada] = await Promise.all([
      open(t, servers[1], { name: "Grace", transport: "sse" }),
      open(t, servers[0], { name: "Ada", article, transport: "websocket" }),
    ]);
    await desk.listed(article, "Ada");
    let ben;
    await Promise.all([
      timed(t, "from the opening of a page on, over short polls: Ben sees Ada", async () => {
        ben = await open(t, servers[1], { name: "Ben", article, transport: "shortpoll" });
        await ben.here("Ada");
      }),
      timed(t, "the same, on a stream: Ada sees Ben", () => ada.here("Ben")),
    ]);
    await desk.listed(article, "Ada", "Ben");

    await ada.type("summary", "A summary");
    await ada.type("body", "Grey.");
    await timed(t, "Ben sees in which field Ada writes", () => ben.here("Ada edits Text"));
    await ben.reads('[data-field="body"] .at', "Ada");
    await desk.listed(article, "Ada is editing", "Ben");
    await ben.type("title", "Fog and more of it");
    await timed(t, "Ada sees in which field Ben writes", () => ada.here("Ben edits Title"));

    await ada.type("body", "A text"); // as it is stored
    await ben.here("Ada");
    await ben.press("Save");
    await ada.here("Ben");
    await ada.has("title", "Fog and more of it");

    await ben.page.goto(`${servers[1].url}/?transport=shortpoll`);
    await timed(t, "Ada sees that Ben has left the page", () => ada.here());
    await ben.listed(article, "Ada");
  });

  test("two tabs of one person are one person, until both are closed", async (t) => {
    const article = await begin("Hail");
    const ada = await open(t, servers[0], { name: "Ada", article });
    const [first, second] = await Promise.all([servers[0], servers[1]].map((server) => Window.open(browser, server.url, { name: "Ben", article })));
    await ada.here("Ben");
    await second.type("title", "Hail!");
    await ada.here("Ben edits Title");
    await second.close();
    await ada.here("Ben");
    await first.close();
    await ada.here();
  });

  test("names are text, at most four, and how many more is told politely", async (t) => {
    const article = await begin("Storm");
    const ada = await open(t, servers[0], { name: "Ada", article });
    for (const [i, name] of ["Cyd", "Dan", "<b>Eve</b>", "Fay", "Gil", "Hal"].entries()) {
      const answer = await fetch(`${servers[0].url}/login`, { method: "POST", body: new URLSearchParams({ name, color: "pink" }), redirect: "manual" });
      const person = /person=(\d+)/.exec(answer.headers.get("set-cookie"))[1];
      await open(t, servers[i % 2], { person, article, transport: "sse" });
      if (i < 4) await ada.here(...["Cyd", "Dan", "<b>Eve</b>", "Fay"].slice(0, i + 1));
    }
    await ada.here("Cyd", "Dan", "<b>Eve</b>", "Fay", "2 more");
    const said = await ada.page.evaluate(() => ({ live: document.querySelector("#people").getAttribute("aria-live"), modal: document.querySelector("dialog[open], :modal") !== null,
      focus: document.activeElement === document.body }));
    assert.deepEqual(said, { live: "polite", modal: false, focus: true });
  });

  test("a browser that is killed is gone within the lease", async (t) => {
    const article = await begin("Thunder");
    const ada = await open(t, servers[0], { name: "Ada", article });
    for (const transport of ["shortpoll", "websocket"]) {
      const mortal = await launchMortal();
      t.after(() => mortal.kill());
      await Window.open(mortal.browser, servers[1].url, { name: "Ben", article, transport });
      await ada.here("Ben");
      await mortal.kill();
      await timed(t, `over ${transport}, with a lease of ${lease} s, Ada sees nobody`, () => ada.here());
    }
  });

  test("so are those of a server that is killed, and they come back by another", async (t) => {
    const article = await begin("Lightning");
    const third = await Server.start(app, { name: "desk", broker: redis.url, flags: ["-lease", `${lease}s`] });
    t.after(() => third.kill());
    const ada = await open(t, servers[0], { name: "Ada", article });
    const ben = await open(t, third, { name: "Ben", article, transport: "websocket" });
    await ada.here("Ben");
    await third.kill();
    await timed(t, `with a lease of ${lease} s Ada sees nobody`, () => ada.here());
    const again = await third.restart();
    t.after(() => again.kill());
    await ada.here("Ben");
    await ben.here("Ada");
    ben.forgive();
  });

  test("who may not see an article sees nobody in it", async (t) => {
    const secret = await begin("Secret", { private: true }, 3);
    const open_ = await begin("Open");
    const grace = await open(t, servers[0], { name: "Grace", article: secret });
    await open(t, servers[0], { name: "Grace", article: open_ });
    const ada = await open(t, servers[1], { name: "Ada" });
    await ada.listed(open_, "Grace");
    const seen = await ada.page.evaluate(async ([secret, open_]) => {
      const { live } = await import("/static/desk.js");
      const settled = (presence) => new Promise((resolve) => presence.subscribe((people, status) => status.state !== "loading" && resolve([presence, people, status])));
      const [, people, status] = await settled(Live.presence(live, "articles", secret));
      const [many] = await settled(Live.presence(live, "articles", [secret, open_]));
      return { people: people.length, code: status.error?.code, many: [many.at(secret).length, many.at(open_).map((person) => person.name)] };
    }, [secret, open_]);
    assert.deepEqual(seen, { people: 0, code: "not_found", many: [0, ["Grace"]] });
    await grace.here(); // and she was not told of Ada
    await ada.page.goto(`${servers[1].url}/articles/${secret}`);
    assert.equal(await ada.page.textContent("h1"), "There is no such article");
    ada.forgive();
  });
});

describe("who saves what", () => {
  test("what two write in different fields is merged in front of both", async (t) => {
    const article = await begin("Wind");
    const [ada, ben] = await openBoth(t, article);
    await ada.type("title", "Wind, and waves");
    await ben.page.locator("#f-body").click();
    await ben.page.keyboard.press("End");
    await ben.page.keyboard.type(", more");
    await ada.press("Save");
    await ada.state("Saved.");
    await ben.has("title", "Wind, and waves");
    await ben.state("Ada changed “Title”.");
    await ben.page.keyboard.type(" of it"); // the caret is where it was
    await ben.has("body", "A text, more of it");
    await ben.press("Save");
    await ada.has("body", "A text, more of it");
    await ada.reads("#heading", "Wind, and waves");
    const { title, body, version } = await stored(article);
    assert.deepEqual({ title, body, version }, { title: "Wind, and waves", body: "A text, more of it", version: 3 });
    for (const window of [ada, ben]) await window.notes(undefined);
  });

  test("what two write in one field is asked: anyway, theirs, or mine", async (t) => {
    const article = await begin("Sun");
    const [ada, ben] = await openBoth(t, article);
    await ada.type("title", "The sun is out");
    await ben.type("title", "The sun was out");
    await ada.press("Save");
    await ben.theirs("title", "The sun is out");
    await ben.notes("Ada saved “Title” while you were writing there, too. Yours is not saved yet: look at both.");
    await ben.button("Save anyway");
    assert.equal(await ben.page.textContent("#t-title .diff"), "The sun iswas out");
    await ben.has("title", "The sun was out");
    assert.equal((await stored(article)).title, "The sun is out");

    await ben.saveAnyway();
    await ada.has("title", "The sun was out");
    await ben.button("Save");
    await ben.notes(undefined);
    assert.equal((await stored(article)).title, "The sun was out");

    await ada.type("title", "The sun will be out");
    await ben.type("title", "The sun!");
    await ben.press("Save");
    await ada.theirs("title", "The sun!");
    await ada.press("Take theirs: Title");
    await ada.has("title", "The sun!");
    await ada.button("Save");

    await ada.type("title", "The sun?");
    await ben.type("title", "The sun.");
    await ben.press("Save");
    await ada.theirs("title", "The sun.");
    await ada.press("Keep mine: Title");
    await ada.press("Save");
    await ben.has("title", "The sun?");
  });
});

describe("who was away", () => {
  for (const transport of ["websocket", "shortpoll"]) {
    test(`sleeps while another saves, wakes and saves: over ${transport} that is a conflict, and nothing is overwritten`, async (t) => {
      const article = await begin("Night");
      const cable = await Proxy.start(servers[0].port);
      const ada = await open(t, cable, { name: "Ada", article, transport });
      t.after(() => cable.stop());
      const ben = await open(t, servers[1], { name: "Ben", article, transport: "sse" });
      await ada.type("title", "Ada's night");
      await ben.here("Ada edits Title");
      await ada.sleep();
      cable.cut();
      await ben.here();
      await ben.type("title", "Ben's night");
      await ben.press("Save");
      await ben.state("Saved.");

      await ada.has("title", "Ada's night");
      cable.mend();
      await ada.wake();
      await ada.page.evaluate(() => document.querySelector("#article").requestSubmit(document.querySelector("#save")));
      await ada.theirs("title", "Ben's night");
      await ada.has("title", "Ada's night");
      assert.equal((await stored(article)).title, "Ben's night", "a save of who slept has overwritten another");
      await ben.here("Ada edits Title");
      await ada.saveAnyway();
      await ben.has("title", "Ada's night");
      ada.forgive();
    });
  }

  test("saves before the news are there, and is told of the conflict by the answer", async (t) => {
    const article = await begin("Dawn");
    const ada = await open(t, servers[0], { name: "Ada", article, transport: "shortpoll" });
    await ada.type("title", "Ada's dawn");
    // A program saves, and the page between two of its polls: whatever it is told by then, the server decides.
    await servers[1].request("PATCH", `/live/articles/${article}`, { title: "A program's dawn" }, { Cookie: "person=2", "If-Match": '"1"' });
    await ada.page.evaluate(() => document.querySelector("#article").requestSubmit(document.querySelector("#save")));
    await ada.theirs("title", "A program's dawn");
    await ada.reads("#t-title .whose", "Ben saved:");
    await ada.has("title", "Ada's dawn");
    assert.equal((await stored(article)).title, "A program's dawn");
    ada.forgive();
  });

  test("keeps the text when the article is deleted, and can copy it", async (t) => {
    const article = await begin("Rust", {}, 2);
    const [ada, ben] = await openBoth(t, article);
    await ada.type("body", "An hour of work");
    await ben.here("Ada edits Text");
    await ben.press("Delete this article");
    await ada.notes("This article was deleted. What you wrote is still here: copy it before you leave.");
    await ada.has("body", "An hour of work");
    await ada.page.getByRole("button", { name: "Copy my text" }).waitFor();
    assert.equal(await ada.page.isDisabled("#save"), true);
    await ada.here();
    ada.forgive();
  });

  test("keeps the text when the article becomes another's alone, and is not seen there any more", async (t) => {
    const article = await begin("Frost", {}, 3);
    const [ada, grace] = await Promise.all([
      open(t, servers[0], { name: "Ada", article, transport: "shortpoll" }),
      open(t, servers[1], { name: "Grace", article, transport: "websocket" }),
    ]);
    await ada.type("body", "An hour of work");
    await grace.here("Ada edits Text");
    await grace.page.check("#f-private");
    await grace.press("Save");
    await ada.notes("This article is not yours to see any more. What you wrote is still here: copy it before you leave.");
    await ada.has("body", "An hour of work");
    await ada.here();
    await grace.here();
    ada.forgive();
  });
});

describe("the form", () => {
  test("says at the field what is wrong with it", async (t) => {
    const article = await begin("Dew");
    const ada = await open(t, servers[0], { name: "Ada", article });
    await ada.type("title", " ");
    await ada.press("Save");
    await ada.reads("#e-title", "An article needs a title.");
    assert.deepEqual(await ada.page.evaluate(() => [document.activeElement.id, document.activeElement.getAttribute("aria-invalid")]), ["f-title", "true"]);
    await ada.type("title", "Dewdrops");
    await ada.reads("#e-title", "");
    await ada.press("Save");
    await ada.state("Saved.");
  });

  test("can do with the keyboard alone", async (t) => {
    const article = await begin("Ice");
    const [ada, ben] = await openBoth(t, article);
    const { keyboard } = ada.page;
    await ada.page.focus("#f-title");
    await keyboard.press("End");
    await keyboard.type(" age");
    await keyboard.press("Enter");
    await ada.state("Saved.");
    await ben.has("title", "Ice age");
    await keyboard.type("s");
    await ben.type("title", "Ice tea");
    await ben.press("Save");
    await ada.theirs("title", "Ice tea");
    await keyboard.press("Tab");
    assert.equal(await ada.page.evaluate(() => document.activeElement.textContent), "Take theirs");
    await keyboard.press("Enter");
    await ada.has("title", "Ice tea");
    assert.equal(await ada.page.evaluate(() => document.activeElement.id), "f-title", "the focus is lost");
    await keyboard.press("End");
    await keyboard.type("!");
    await keyboard.press("Control+s");
    await ben.has("title", "Ice tea!");
  });

  test("is no wider than a phone, whatever stands in it", async (t) => {
    const article = await begin("Heat", { title: "Heat ".repeat(20).trim(), body: "x".repeat(400) });
    const ada = await open(t, servers[0], { name: "Ada", article, viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    const ben = await open(t, servers[1], { name: "Ben", article });
    await ada.type("body", "y".repeat(400));
    await ben.type("body", "z".repeat(400));
    await ben.press("Save");
    await ada.theirs("body", "z".repeat(400));
    assert.equal(await ada.page.evaluate(() => document.documentElement.scrollWidth), 360);
    await ben.page.goto(`${servers[1].url}/`);
    await ada.here();
  });

  test("that was sent before the script could, and refused, goes on with it", async (t) => {
    const article = await begin("Mud");
    const ada = await open(t, servers[0], { name: "Ada", article });
    await servers[1].request("PATCH", `/live/articles/${article}`, { title: "Ben's mud" }, { Cookie: "person=2", "If-Match": '"1"' });
    await ada.has("title", "Ben's mud");
    // What a form of the first version would have sent.
    await ada.page.evaluate(() => {
      const form = document.querySelector("#article");
      form.elements.version.value = 1;
      form.elements["was.title"].value = '"Mud"';
      form.elements.title.value = "Ada's mud";
      form.submit();
    });
    await ada.page.waitForSelector('#badge[data-state="live"]');
    await ada.theirs("title", "Ben's mud");
    await ada.has("title", "Ada's mud");
    await ada.state("Not saved yet");
    await ada.press("Save anyway");
    await ada.state("Saved.");
    assert.equal((await stored(article)).title, "Ada's mud");
    ada.forgive();
  });
});

describe("with locks", () => {
  let log, ada, ben, desk;
  const locked = [];
  before(async () => {
    log = await Redis.start();
    for (let i = 0; i < 2; i++) locked.push(await Server.start(app, { name: "locked", broker: log.url, flags: ["-lock", "-lease", `${lease}s`] }));
    ada = await Window.open(browser, locked[0].url, { name: "Ada", article: 1, transport: "websocket" });
    ben = await Window.open(browser, locked[1].url, { name: "Ben", article: 1, transport: "shortpoll" });
    desk = await Window.open(browser, locked[1].url, { name: "Grace", transport: "sse" });
  });
  after(async () => {
    const ends = await Promise.allSettled([ada, ben, desk].map((window) => window?.close()));
    await Promise.allSettled(locked.map((server) => server.kill()));
    await log?.stop();
    for (const { status, reason } of ends) if (status === "rejected") throw reason;
  });

  test("who writes first has the lock, the others read, and the list shows it", async () => {
    await ada.here("Ben");
    await ada.type("title", "Locked");
    await ada.reads("#holder", "You have the lock: the others can only read.");
    await ben.reads("#holder", "Ada has the lock: here it can only be read.");
    await ben.here("Ada has the lock, edits Title");
    await desk.listed(1, "Ada has the lock, is editing", "Ben");
    await ben.until(() => [document.querySelector("#f-title").readOnly, document.querySelector("#save").disabled], [true, true]);
  });

  test("who asks for it may be handed it, and who does not have it saves nothing", async () => {
    await ben.press("Ask for it");
    await ada.reads("#holder", "Ben would like to write here.");
    await ada.press("Hand over to Ben");
    await ben.reads("#holder", "You have the lock: the others can only read.");
    await ada.reads("#holder", "Ben has the lock: here it can only be read.");
    // Whatever her page lets her do.
    const refused = await ada.page.evaluate(async () => {
      const { live } = await import("/static/desk.js");
      return live.call("articles", "update", { key: "1", version: 1, data: { title: "Behind the lock" } }).then(() => "saved", ({ code, current }) => [code, current.fields.name]);
    });
    assert.deepEqual(refused, ["locked", "Ben"]);
    await ben.type("summary", "By Ben");
    await ben.press("Save");
    await ben.state("Saved.");
    await ada.has("summary", "By Ben");
  });

  test("who began the article may take it over", async () => {
    // Ben's save gave it back, and Ada, who has something to save, took it.
    await ada.reads("#holder", "You have the lock: the others can only read.");
    await ada.press("Save");
    await ada.state("Saved.");
    await ben.has("title", "Locked");
    await ben.type("body", "By Ben, who went for lunch");
    await ada.reads("#holder", "Ben has the lock: here it can only be read.");
    assert.equal(await ben.page.getByRole("button", { name: "Take it over" }).count(), 0);
    await ada.press("Take it over");
    await ada.reads("#holder", "You have the lock: the others can only read.");
    await ben.reads("#holder", "Ada has the lock: here it can only be read.");
    await ben.has("body", "By Ben, who went for lunch");
  });
});
