// One browser window on an example's page, as a visitor sees it.

import assert from "node:assert/strict";

export class Window {
  /** How many milliseconds anything may take. */
  static patience = 10_000;

  /** Opens a page over a transport, or over whichever gets through, and waits for the element that tells that it is ready. */
  static async open(browser, url, { cookies = [], path = "/", ready, transport, ...options } = {}) {
    const window = new this();
    window.context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ...options });
    window.context.setDefaultTimeout(this.patience);
    await window.context.addCookies(cookies);
    await window.#load(url + path, ready, transport);
    return window;
  }

  async #load(url, ready, transport) {
    this.page = await this.context.newPage();
    this.complaints = [];
    this.page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
    this.page.on("pageerror", (error) => this.complaints.push(String(error)));
    await this.page.goto(transport ? `${url}?transport=${transport}` : url);
    await this.page.locator(ready).waitFor();
  }

  /** Forgives what the browser itself complained about while there was no connection. */
  forgive() {
    this.complaints = this.complaints.filter((text) => !/net::ERR_|WebSocket connection to|status of 50[23]/.test(text));
  }

  /** Closes the window. A console that complained is an error. */
  async close() {
    await this.context.close();
    assert.deepEqual(this.complaints, [], "the console complained");
  }

  /** Waits until the badge says this. */
  async badge(text) {
    await this.until(() => document.querySelector("#transport").textContent, text);
  }

  /** Waits until an element that a selector names says this. */
  async reads(selector, text) {
    await this.until((selector) => document.querySelector(selector)?.textContent, text, selector);
  }

  /** Reads again and again until it reads what is wanted. One evaluation: the page's policy forbids the eval of waitForFunction. */
  async until(read, wanted, argument) {
    const seen = await this.page.evaluate(`(async () => {
      const wanted = ${JSON.stringify(JSON.stringify(wanted))};
      for (const end = Date.now() + ${this.constructor.patience}; ; await new Promise((next) => setTimeout(next, 10))) {
        const seen = (${read})(${JSON.stringify(argument)});
        if (JSON.stringify(seen) === wanted || Date.now() > end) return seen;
      }
    })()`);
    assert.deepEqual(seen, wanted);
  }
}
