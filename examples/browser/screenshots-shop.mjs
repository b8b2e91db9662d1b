// npm run screenshots:shop: draws the pictures of the documentation, docs/images/shop-*.png, from the running application. IMAGES
// names another directory, which also gets those of a phone.

import { fileURLToPath } from "node:url";
import { launch } from "./lib/chromium.mjs";
import { Server, build } from "./lib/server.mjs";
import { Window } from "./lib/shop.mjs";

const images = process.env.IMAGES ?? fileURLToPath(new URL("../../docs/images/", import.meta.url));

const app = await build("shop");
const server = await Server.start(app, { name: "pictures" });
const browser = await launch();
const open = (options) => Window.open(browser, server.url, { transport: "websocket", reducedMotion: "reduce", viewport: { width: 1120, height: 700 }, ...options });
const shoot = async (window, file) => {
  await window.page.evaluate(() => {
    document.querySelector("#toast").hidden = true;
    document.activeElement.blur();
  });
  await window.page.screenshot({ path: images + file });
  await window.close();
};
try {
  // Somebody orders, so that there is something to see.
  const ada = await open();
  for (const [text, name, times] of [["Figs", "Figs", 2], ["loaf", "Rye loaf", 1], ["jam", "Apricot jam", 1]]) {
    await ada.search(text);
    for (let n = 0; n < times; n++) {
      await ada.press(`Order ${name}`);
      await ada.page.locator("#toast", { hasText: name }).waitFor();
    }
  }
  await ada.search("");
  await ada.counts(10, "37 products");
  await shoot(ada, "shop-light.png");

  const ben = await open({ colorScheme: "dark" });
  await ben.become("Staff");
  await ben.page.selectOption("#sort", "stock");
  await ben.says("Kefir", ".stock", "0 in stock");
  await ben.page.locator(".order").first().waitFor();
  await shoot(ben, "shop-dark.png");

  if (process.env.IMAGES) {
    const phone = await open({ viewport: { width: 390, height: 830 }, isMobile: true, hasTouch: true });
    await shoot(phone, "shop-phone.png");
    const staff = await open({ viewport: { width: 390, height: 830 }, isMobile: true, hasTouch: true });
    await staff.become("Staff");
    await staff.press("Edit Apple juice");
    await staff.page.locator("#marks input").first().waitFor();
    await shoot(staff, "shop-phone-form.png");
  }
} finally {
  await browser.close();
  await server.stop();
  await app.clean();
}
