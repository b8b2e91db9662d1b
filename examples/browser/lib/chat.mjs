// One browser window on the chat, as a person sees and uses it.

import { Window as Base } from "./window.mjs";

export class Window extends Base {
  /** Signs somebody in, by the form, and opens the page. On a small screen that is the list of rooms. */
  static async open(browser, url, { name, hue = 205, email = "", ...options } = {}) {
    const answer = await fetch(`${url}/login`, { method: "POST", redirect: "manual", body: new URLSearchParams({ name, hue, email }) });
    const [, value] = /chat-session=([^;]+)/.exec(answer.headers.get("set-cookie"));
    return super.open(browser, url, { cookies: [{ name: "chat-session", value, url }], ready: "body:not([aria-busy])", ...options });
  }

  // What there is to see.

  /** Waits until exactly these messages are shown, oldest first, each as its author and its text. */
  async hears(...messages) {
    await this.until(readMessages, messages);
  }

  /** Waits until the newest messages are these. */
  async hearsLast(...messages) {
    await this.until(`((n) => (${readMessages})().slice(-n))`, messages, messages.length);
  }

  /** Waits until these are the rooms, as they are said to who cannot see them: "general, 2 unread". */
  async rooms(...rooms) {
    await this.until(() => [...document.querySelectorAll(".side a")].map((link) => link.getAttribute("aria-label")), rooms);
  }

  /** Waits until the bell says how many notifications are unread; 0: it says nothing. */
  async bell(n) {
    await this.until(() => document.querySelector("#bell").getAttribute("aria-label"), n ? `Notifications, ${n} unread` : "Notifications");
  }

  /** Waits until the room that is shown is this one; undefined: none is. */
  async isIn(room) {
    await this.until(() => (document.body.dataset.view === "room" ? document.querySelector("#room-name").textContent : undefined), room);
  }

  /** Waits until the toast begins with this. */
  async toast(text) {
    await this.until((n) => document.querySelector("#toast").textContent.slice(0, n), text, text.length);
  }

  /** Waits until these are in the room, as the header has it, in the order of the alphabet. */
  async here(...names) {
    await this.until(() => [...document.querySelectorAll("#here li[data-name]")].map((item) => item.dataset.name).sort(), names);
  }

  // What there is to do.

  message(text) {
    return this.page.locator("#messages .message").filter({ has: this.page.locator(".text", { hasText: text }) });
  }

  async say(text) {
    await this.page.fill("#text", text);
    await this.page.press("#text", "Enter");
  }

  async enter(room) {
    await this.page.locator(".side a .label").filter({ hasText: new RegExp(`^${room}$`) }).click();
    await this.isIn(room);
  }

  async edit(text, typed) {
    await this.message(text).hover();
    await this.message(text).getByRole("button", { name: "Edit your message" }).click();
    await this.page.fill(".edit:not([hidden]) textarea", typed);
    await this.page.press(".edit:not([hidden]) textarea", "Enter");
  }

  async remove(text) {
    await this.message(text).hover();
    await this.message(text).getByRole("button", { name: "Delete your message" }).click();
    await this.page.click("#confirm-yes");
  }

  async makeRoom(name, { topic = "", hidden = false } = {}) {
    await this.page.click("#new-room");
    await this.page.fill("#room-form-name", name);
    await this.page.fill("#room-form-topic", topic);
    if (hidden) await this.page.check("#room-form-private input");
    await this.page.click("#room-form button[type=submit]");
    await this.isIn(name);
  }

  /** Opens what there is to know and do about the room that is shown. */
  async menu() {
    if (!(await this.page.locator("#room-menu").isVisible())) await this.page.click("#details");
  }

  async invite(name) {
    await this.menu();
    await this.page.fill("#guest", name);
    await this.page.press("#guest", "Enter");
  }

  async members(...names) {
    await this.menu();
    await this.until(() => [...document.querySelectorAll("#members .name")].map((name) => name.textContent), names);
  }

  async closeMenus() {
    await this.page.keyboard.press("Escape");
    await this.page.keyboard.press("Escape");
  }
}

function readMessages() {
  let author;
  return [...document.querySelectorAll("#messages .message")].map((item) => {
    author = item.querySelector(".who").textContent;
    return `${author}: ${item.querySelector(".text").textContent}`;
  });
}
