// Two browser windows on the shop, over a stream and over polls: a customer's and a member of the staff's.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { Server, build } from "../lib/server.mjs";
import { Window } from "../lib/shop.mjs";

let app, browser;
before(async () => {
  browser = await launch();
  app = await build("shop");
});
after(() => all(browser?.close(), app?.clean()));

/** Waits for all, and fails if any fails: one that fails shall not keep the others from their end. */
async function all(...ends) {
  for (const { status, reason } of await Promise.allSettled(ends)) if (status === "rejected") throw reason;
}

for (const [transport, name] of Object.entries({ websocket: "WebSocket", sse: "Server-sent events", longpoll: "Long poll" })) {
  describe(`the shop over ${transport}`, () => {
    let server, ada, ben;
    before(async () => {
      server = await Server.start(app, { name: `shop-${transport}` });
      [ada, ben] = await Promise.all([1, 2].map(() => Window.open(browser, server.url, { transport, reducedMotion: "reduce", viewport: { width: 1200, height: 900 } })));
      await ben.become("Staff");
    });
    after(async () => {
      await all(ada?.close(), ben?.close());
      assert.equal(await server?.stop() ?? 0, 0, server?.log);
    });

    test("the first ten products are shown, and more on demand", async () => {
      await ada.badge(name);
      await ada.counts(10, "37 products");
      await ada.press("Show more");
      await ada.counts(20, "37 products");
      await ada.press("Show more");
      await ada.press("Show more");
      await ada.counts(37, "37 products");
      await ada.until(() => document.querySelector("#more").hidden, true);
      await ada.says("Aged gouda", ".category", "Cheese");
      await ada.says("Apple juice", ".tags", "veganlocal");
    });

    test("a role decides what is shown, at once", async () => {
      await ada.says("Aged gouda", ".stock", "In stock");
      await ada.says("Aged gouda", ".inside", undefined);
      await ben.says("Aged gouda", ".stock", "16 in stock");
      await ben.says("Aged gouda", ".inside", "Cost €4.68 · earns €3.12");

      await ada.become("Staff");
      await ada.says("Aged gouda", ".stock", "16 in stock");
      await ada.says("Aged gouda", ".inside", "Cost €4.68 · earns €3.12");
      await ada.page.selectOption("#sort", "stock");
      await ada.says("Kefir", ".stock", "0 in stock");
      await ada.become("Guest");
      await ada.until(() => document.querySelector("#sort").value, "name"); // nobody but staff may sort by stock
      await ada.says("Aged gouda", ".stock", "In stock");
      await ada.says("Aged gouda", ".inside", undefined);
      assert.equal(await ada.page.getByRole("button", { name: "Order Aged gouda", exact: true }).isDisabled(), true);
      await ada.become("Customer");
      await ada.says("Aged gouda", ".stock", "In stock");
    });

    test("a category that is renamed in one window is renamed in the other", async () => {
      await ben.renameCategory("Cheese", "Dairy");
      for (const window of [ben, ada]) {
        await window.says("Aged gouda", ".category", "Dairy");
        await window.until(() => [...document.querySelectorAll("#categories .name")].map((item) => item.textContent).join(" "), "Bread Dairy Drinks Fruit Jars");
      }
    });

    test("what is refused is said at the field", async () => {
      await ben.edit("Aged gouda", { price: "4.00" });
      await ben.reads("#error-price", "Must be more than the cost.");
      await ben.page.fill("#f-price", "cheap");
      await ben.press("Save");
      await ben.reads("#error-price", "want an integer, got the string \"cheap\"");
      await ben.page.fill("#f-price", "8.20");
      await ben.page.fill("#f-name", "  ");
      await ben.press("Save");
      await ben.reads("#error-name", "Please fill this in.");
      await ben.reads("#error-price", "");
      await ben.page.fill("#f-name", "Very old gouda");
      await ben.press("Save");
      await ben.until(() => document.querySelector("#editor").open, false);
      await ada.search("gouda");
      await ada.says("Very old gouda", ".price", "€8.20");
      await ada.counts(1, "1 product");
      await ada.search("");
    });

    test("an order takes from the shelf, and a cancelled one puts it back", async () => {
      for (const window of [ada, ben]) await window.search("Figs");
      await ada.says("Figs", ".stock", "In stock");
      for (const n of [1, 2, 3]) {
        await ada.press("Order Figs");
        await ada.orders(`placed, ${n} × Figs`);
      }
      await ada.says("Figs", ".stock", "Sold out");
      await ben.says("Figs", ".stock", "0 in stock");
      await ben.orders("placed, 3 × Figs");
      assert.equal(await ada.page.getByRole("button", { name: "Order Figs", exact: true }).isDisabled(), true);

      await ben.press("Restock Figs");
      await ben.says("Figs", ".stock", "10 in stock");
      await ada.says("Figs", ".stock", "In stock");
      await ada.press("Cancel");
      for (const window of [ada, ben]) await window.orders("cancelled, 3 × Figs");
      await ben.says("Figs", ".stock", "13 in stock");
    });

    test("a product is made, marked with a tag, and taken away", async () => {
      for (const window of [ada, ben]) await window.search("Quark");
      await ada.until(() => document.querySelector("#empty").hidden, false);
      await ben.press("New product");
      await ben.page.fill("#f-name", "Quark");
      await ben.page.fill("#f-price", "2.5");
      await ben.press("Save");
      await ben.says("Quark", ".inside", "Cost €1.50 · earns €1.00");
      await ada.counts(1, "1 product");
      await ada.says("Quark", ".stock", "Sold out");

      await ben.press("Edit Quark");
      await ben.page.getByLabel("local").check();
      await ada.says("Quark", ".tags", "local");
      await ben.page.getByLabel("local").uncheck();
      await ada.says("Quark", ".tags", "");
      await ben.press("Delete");
      await ada.counts(0, "0 products");
    });

    test("all prices change together, or none does", async () => {
      await ben.search("loaf");
      await ada.search("loaf");
      await ben.counts(2, "2 products");
      await ben.press("Shown prices + 10 %");
      for (const window of [ben, ada]) {
        await window.says("Rye loaf", ".price", "€4.62");
        await window.says("Seeded loaf", ".price", "€5.06");
      }
      await ben.edit("Rye loaf", { cost: "4.60" });
      await ben.says("Rye loaf", ".inside", "Cost €4.60 · earns €0.02");
      await ben.press("− 10 %");
      await ben.reads("#toast", "Nothing is changed. Rye loaf: Must be more than the cost.");
      await ben.says("Seeded loaf", ".price", "€5.06");
    });
  });
}
