// Two browser windows that know of our server by pusher-js alone.

import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../lib/chromium.mjs";
import { Server, build } from "../lib/server.mjs";
import { Window as Base } from "../lib/window.mjs";

const script = fileURLToPath(new URL("../../pusher/node_modules/pusher-js/dist/web/pusher.min.js", import.meta.url));

class Window extends Base {
  static patience = 30_000;

  static async open(browser, url, name) {
    const window = await super.open(browser, url, { path: `/?name=${name}`, ready: "#say" });
    await window.reads("#state", "connected");
    return window;
  }

  /** Waits until a list has these items. */
  async lists(selector, ...texts) {
    await this.until((selector) => [...document.querySelectorAll(`${selector} li`)].map((item) => item.textContent.trim()), texts, selector);
  }

  async submit(form, field, text) {
    await this.page.fill(`${form} [name=${field}]`, text);
    await this.page.press(`${form} [name=${field}]`, "Enter");
  }
}

describe("two windows with pusher-js", () => {
  let browser, app, server, ann, ben;
  before(async () => {
    browser = await launch();
    app = await build("pusher");
    server = await Server.start(app, { flags: ["-pusher-js", script] });
    await server.request("POST", "/live/todos", { list: "home", title: "there before" });
    ann = await Window.open(browser, server.url, "Ann");
  });
  after(async () => {
    const ends = await Promise.allSettled([ann?.close(), ben?.close()]);
    await Promise.allSettled([browser?.close(), server?.kill()]);
    await app?.clean();
    for (const { status, reason } of ends) if (status === "rejected") throw reason;
  });

  test("see who is here, what is said, and who is typing", async () => {
    await ann.lists("#members", "Ann");
    ben = await Window.open(browser, server.url, "Ben");
    for (const window of [ann, ben]) await window.lists("#members", "Ann", "Ben");
    await ben.page.fill("#say [name=text]", "hel");
    await ann.reads("#typing", "Ben is typing");
    await ben.submit("#say", "text", "hello");
    for (const window of [ann, ben]) await window.lists("#messages", "Benhello");
    await ann.reads("#typing", "");
  });

  test("share a list of to-dos, with what was there before", async () => {
    for (const window of [ann, ben]) await window.lists("#todos", "there beforeRemove");
    await ann.submit("#add", "title", "milk");
    for (const window of [ann, ben]) await window.lists("#todos", "there beforeRemove", "milkRemove");
    const ticked = (window) => window.until(() => [...document.querySelectorAll("#todos input")].map((box) => box.checked), [false, true]);
    await ben.page.locator("#todos li", { hasText: "milk" }).locator("input").check();
    await Promise.all([ticked(ann), ticked(ben)]);
    await ann.page.locator("#todos li", { hasText: "before" }).locator("button").click();
    for (const window of [ann, ben]) await window.lists("#todos", "milkRemove");
  });

  test("see who leaves", async () => {
    await ben.close();
    ben = undefined;
    await ann.lists("#members", "Ann");
  });

  test("a window without pusher-js says so", async () => {
    const none = await Server.start(app, { name: "none", flags: ["-pusher-js", "/nowhere/pusher.js"] });
    try {
      const window = await Base.open(browser, none.url, { path: "/?name=Ann", ready: "#missing:not([hidden])" });
      window.complaints = []; // the browser has some about the file
      await window.close();
    } finally {
      await none.kill();
    }
  });
});
