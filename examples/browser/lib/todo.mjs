// One browser window on the todo page, as a visitor sees and uses it.

import { Window as Base } from "./window.mjs";

export class Window extends Base {
  /** Opens the page as somebody, over a transport or over whichever gets through. */
  static open(browser, url, { name, ...options } = {}) {
    const cookies = name ? [{ name: "visitor", value: encodeURIComponent(name), url }] : [];
    return super.open(browser, url, { cookies, ready: "#list:not([aria-busy])", ...options });
  }

  // What there is to see.

  /** The items that are shown, each as its title, with "[x] " or "[ ] " in front. */
  items() {
    return this.page.evaluate(readItems);
  }

  /** Waits until exactly these items are shown, in this order. */
  async shows(...items) {
    await this.until(readItems, items);
  }

  /** Waits until exactly these items are shown, in any order. */
  async holds(...items) {
    await this.until(`() => (${readItems})().sort()`, items.sort());
  }

  /** Waits until the number of open items is told. */
  async counts(text) {
    await this.until(() => document.querySelector("#count").textContent, text);
  }

  /** Waits until the line under an item says what was done last, and by whom. */
  async says(title, text) {
    await this.until((title) => {
      const item = [...document.querySelectorAll("#todos > .todo:not(.leaving)")].find((item) => item.querySelector(".title").textContent === title);
      return item?.querySelector(".by .words").textContent;
    }, text, title);
  }

  /** Waits until these are the lists, and the number of open items of each. */
  async lists(...lists) {
    await this.until(() => [...document.querySelectorAll("#lists > li:not(.leaving) a")].map((link) => link.getAttribute("aria-label")), lists);
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
