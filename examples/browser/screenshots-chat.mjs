// npm run screenshots:chat: draws the pictures of the documentation, docs/images/chat-*.png, from the running application. IMAGES
// names another directory.

import { fileURLToPath } from "node:url";
import { Window } from "./lib/chat.mjs";
import { launch } from "./lib/chromium.mjs";
import { Server, build } from "./lib/server.mjs";

const images = process.env.IMAGES ?? fileURLToPath(new URL("../../docs/images/", import.meta.url));

const app = await build("chat");
const server = await Server.start(app, { name: "pictures" });
const browser = await launch();
const open = (name, hue, options) => Window.open(browser, server.url, { name, hue, transport: "websocket", reducedMotion: "reduce", viewport: { width: 1120, height: 700 }, ...options });
const phone = { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true };
const shoot = async (window, file) => {
  await window.page.evaluate(() => (document.querySelector("#toast").hidden = true));
  await window.page.screenshot({ path: images + file });
};
try {
  const ada = await open("Ada", 318);
  const ben = await open("Ben", 28, { colorScheme: "dark" });
  const zoe = await open("Zoë", 205, phone);
  await ada.makeRoom("garden", { topic: "What grows, and who waters it" });
  for (const window of [ben, zoe]) await window.enter("garden");
  await ada.say("The tomatoes need water tonight. Who is here?");
  await ben.hearsLast("Ada: The tomatoes need water tonight. Who is here?");
  await ben.say("Me!");
  await ben.say("Until eight, then I have to catch a train.");
  await zoe.hearsLast("Ben: Until eight, then I have to catch a train.");
  await zoe.say("I can take over from @Ben. How much does each get?");
  await ada.hearsLast("Zoë: I can take over from @Ben. How much does each get?");
  await ada.say("Two litres, and the small ones one:\nhttps://example.com/tomatoes");
  await ada.makeRoom("surprise for Ben", { hidden: true });
  await ada.invite("Zoë");
  await ada.members("Ada", "Zoë");
  await ada.closeMenus();
  await ada.say("Cake on Friday? @Zoë");
  await ada.enter("garden");
  await ben.hearsLast("Ada: Two litres, and the small ones one:\nhttps://example.com/tomatoes");
  await zoe.bell(2);
  await ben.page.focus("#text");
  await ben.page.keyboard.type("And the beans");
  await ada.reads("#typing", "Ben is typing…");
  await shoot(ada, "chat-light.png");
  await zoe.page.keyboard.type("Aren't those for tomorrow");
  await ben.reads("#typing", "Zoë is typing…");
  await shoot(ben, "chat-dark.png");
  await shoot(zoe, "chat-phone.png");
  if (process.env.IMAGES) {
    await zoe.page.click("#bell");
    await shoot(zoe, "chat-phone-notes.png");
    await zoe.closeMenus();
    await zoe.page.getByRole("link", { name: "All rooms", exact: true }).click();
    await zoe.isIn(undefined);
    await shoot(zoe, "chat-phone-rooms.png");
    await ben.page.click("#details");
    await shoot(ben, "chat-menu.png");
  }
} finally {
  await browser.close();
  await server.stop();
  await app.clean();
}
