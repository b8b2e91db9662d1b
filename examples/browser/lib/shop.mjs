// One browser window on the shop, as a visitor sees and uses it.

import { Window as Base } from "./window.mjs";

export class Window extends Base {
  /** Opens the page, as a new customer or as the one of a cookie. */
  static open(browser, url, { customer, ...options } = {}) {
    const cookies = customer ? [{ name: "shop-customer", value: String(customer), url }] : [];
    return super.open(browser, url, { cookies, ready: "#products:not([aria-busy])", ...options });
  }

  // What there is to see.

  /** Waits until so many products are shown, and told. */
  async counts(shown, text) {
    await this.until(() => [document.querySelectorAll(".product").length, document.querySelector("#count").textContent], [shown, text]);
  }

  /** Waits until a product's card says this in one of its places, such as ".stock"; undefined: until nobody sees that place. */
  async says(product, place, text) {
    await this.until(({ product, place }) => {
      const card = [...document.querySelectorAll(".product")].find((card) => card.querySelector("h3").textContent === product);
      const element = card?.querySelector(place);
      return element?.checkVisibility() ? element.textContent : undefined;
    }, text, { product, place });
  }

  /** Waits until these are the orders: of each its state and its lines. */
  async orders(...orders) {
    await this.until(() => [...document.querySelectorAll(".order")].map((order) =>
      [order.querySelector(".state").textContent, ...[...order.querySelectorAll(".lines li > span:first-child")].map((line) => line.textContent)].join(", ")), orders);
  }

  // What there is to do.

  async become(role) {
    await this.page.locator("#role label").filter({ hasText: role }).click();
    await this.until(() => document.body.dataset.role, role.toLowerCase());
  }

  async search(text) {
    await this.page.fill("#search", text);
  }

  async press(name) {
    await this.page.getByRole("button", { name, exact: true }).click();
  }

  /** Opens the form of a product, and fills in some of its fields. */
  async edit(product, fields) {
    await this.press(`Edit ${product}`);
    for (const [name, value] of Object.entries(fields)) await this.page.fill(`#f-${name}`, value);
    await this.press("Save");
  }

  async renameCategory(name, to) {
    await this.press(`Rename ${name}`);
    const input = this.page.locator("#categories form:not([hidden]) input");
    await input.fill(to);
    await input.press("Enter");
  }
}
