// One browser window at the desk, as somebody who is signed in sees and uses it.

import { Window as Base } from "./window.mjs";

/** Those whom a new database knows, by id. */
const people = { Ada: 1, Ben: 2, Grace: 3 };

export class Window extends Base {
  static patience = 30_000; // a lease is part of what is waited for

  /** Opens the list, or an article by its id, as somebody, over a transport or over whichever gets through. */
  static open(browser, url, { name, person = people[name], article, ...options } = {}) {
    const cookies = person ? [{ name: "person", value: String(person), url }] : [];
    const ready = options.javaScriptEnabled === false ? "main" : '#badge[data-state="live"]';
    return super.open(browser, url, { cookies, ready, path: article ? `/articles/${article}` : "/", ...options });
  }

  /** Forgives what the browser itself complains about when an answer says that something was refused, too. */
  forgive() {
    super.forgive();
    this.complaints = this.complaints.filter((text) => !/status of 4(04|09|22) /.test(text));
  }

  // What there is to see.

  /** Waits until these are shown above the form, each as a name and what they do. */
  async here(...texts) {
    await this.until(() => [...document.querySelectorAll("#people > *")].map((pill) => pill.textContent.trim()), texts);
  }

  /** Waits until these are shown in the list, in an article. */
  async listed(article, ...texts) {
    await this.until((article) => [...document.querySelectorAll(`.article[data-key="${article}"] .here > *`)].map((pill) => pill.textContent.trim()), texts, article);
  }

  /** Waits until a field of the form has a value. */
  async has(field, value) {
    await this.until((field) => {
      const input = document.querySelector(`#f-${field}`);
      return input.type === "checkbox" ? input.checked : input.value;
    }, value, field);
  }

  /** Waits until the notice above the form says this; undefined: until there is none. */
  async notes(text) {
    await this.until(() => {
      const notice = document.querySelector("#notice");
      return notice.hidden ? undefined : document.querySelector("#story").textContent;
    }, text);
  }

  /** Waits until beside a field stands what somebody else made of it. */
  async theirs(field, text) {
    await this.until((field) => {
      const box = document.querySelector(`#t-${field}`);
      return box.hidden ? undefined : box.querySelector(".text").textContent;
    }, text, field);
  }

  /** Waits until the line beside the button says this. */
  async state(text) {
    await this.until(() => document.querySelector("#state").textContent, text);
  }

  /** Waits until the page's button to save says this. */
  async button(text) {
    await this.reads("#save", text);
  }

  // What there is to do.

  async type(field, text) {
    await this.page.fill(`#f-${field}`, text);
  }

  /** Sleeps as a laptop does whose lid is shut: nothing in the page runs. Its cable is another matter. */
  async sleep() {
    this.cdp ??= await this.context.newCDPSession(this.page);
    await this.cdp.send("Page.setWebLifecycleState", { state: "frozen" });
  }

  async wake() {
    await this.cdp.send("Page.setWebLifecycleState", { state: "active" });
  }

  /** Reads what the others wrote, as long as the page wants it to be looked at, and saves anyway. */
  async saveAnyway() {
    await this.button("Save anyway");
    await this.page.waitForTimeout(1000);
    await this.press("Save anyway");
  }

  async press(name) {
    await this.page.getByRole("button", { name, exact: true }).click();
  }
}
