// One browser window on the page, as a visitor sees and uses it.

import assert from "node:assert/strict";

const patience = 10_000;

export class Window {
  /** Opens the page as somebody, over a transport or over whichever gets through. */
  static async open(browser, url, { name, transport, ...options } = {}) {
    const window = new Window();
    window.context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ...options });
    window.context.setDefaultTimeout(patience);
    if (name) await window.context.addCookies([{ name: "visitor", value: encodeURIComponent(name), url }]);
    window.page = await window.context.newPage();
    window.complaints = [];
    window.page.on("console", (message) => {
      if (message.type() === "error") window.complaints.push(message.text());
    });
    window.page.on("pageerror", (error) => window.complaints.push(String(error)));
    await window.page.goto(transport ? `${url}/?transport=${transport}` : url);
    await window.page.locator("#list[aria-busy]").waitFor({ state: "detached" });
    return window;
  }

  /** Forgives what the browser itself complained about while there was no connection. */
  forgive() {
    this.complaints = this.complaints.filter((text) => !/net::ERR_|WebSocket connection to/.test(text));
  }

  /** Closes the window. A console that complained is an error. */
  async close() {
    await this.context.close();
    assert.deepEqual(this.complaints, [], "the console complained");
  }

  // What there is to see.

  /** The items that are shown, each as its title, with "[x] " or "[ ] " in front. */
  items() {
    return this.page.evaluate(readItems);
  }

  /** Waits until exactly these items are shown, in this order. */
  async shows(...items) {
    await this.#until(readItems, items);
  }

  /** Waits until the number of open items is told. */
  async counts(text) {
    await this.#until(() => document.querySelector("#count").textContent, text);
  }

  /** Waits until the line under an item says what was done last, and by whom. */
  async says(title, text) {
    await this.#until((title) => {
      const item = [...document.querySelectorAll("#todos > .todo:not(.leaving)")].find((item) => item.querySelector(".title").textContent === title);
      return item?.querySelector(".by .words").textContent;
    }, text, title);
  }

  /** Waits until these are the lists, and the number of open items of each. */
  async lists(...lists) {
    await this.#until(() => [...document.querySelectorAll("#lists > li:not(.leaving) a")].map((link) => link.getAttribute("aria-label")), lists);
  }

  /** Waits until the badge says this. */
  async badge(text) {
    await this.#until(() => document.querySelector("#transport").textContent, text);
  }

  /** Waits until an element that a selector names says this. */
  async reads(selector, text) {
    await this.#until((selector) => document.querySelector(selector)?.textContent, text, selector);
  }

  /** Reads again and again until it reads what is wanted. One evaluation: the page's policy forbids the eval of waitForFunction. */
  async #until(read, wanted, argument) {
    const seen = await this.page.evaluate(`(async () => {
      const wanted = ${JSON.stringify(JSON.stringify(wanted))};
      for (const end = Date.now() + ${patience}; ; await new Promise((next) => setTimeout(next, 10))) {
        const seen = (${read})(${JSON.stringify(argument)});
        if (JSON.stringify(seen) === wanted || Date.now() > end) return seen;
      }
    })()`);
    assert.deepEqual(seen, wanted);
  }

  // What there is to do.

  item(title) {
    return this.page.locator("#todos > .todo:not(.leaving)").filter({ has: this.page.getByRole("button", { name: title, exact: true }) });
  }

  async add(title) {
    await this.page.fill("#new-todo", title);
    await this.page.press("#new-todo", "Enter");
  }

  async tick(title) {
    await this.page.getByRole("checkbox", { name: `Done: ${title}`, exact: true }).click();
  }

  /** Opens the title's input, types, and leaves the key to press to the caller. */
  async type(title, typed) {
    await this.item(title).getByRole("button", { name: title, exact: true }).click();
    await this.page.fill("#todos .edit:not([hidden]) input", typed);
  }

  async rename(title, typed) {
    await this.type(title, typed);
    await this.page.keyboard.press("Enter");
  }

  async remove(title) {
    await this.item(title).hover();
    await this.page.getByRole("button", { name: `Delete: ${title}`, exact: true }).click();
  }

  async filter(name) {
    await this.page.click(`#filter-${name}`);
  }

  async addList(name) {
    await this.page.fill("#new-list", name);
    await this.page.press("#new-list", "Enter");
  }

  async openList(name) {
    await this.page.locator("#lists a .label").filter({ hasText: name }).click();
    await this.reads("#list-name", name);
  }
}

function readItems() {
  return [...document.querySelectorAll("#todos > .todo:not(.leaving)")].map((item) =>
    `[${item.querySelector(".tick").checked ? "x" : " "}] ${item.querySelector(".title").textContent}`);
}
