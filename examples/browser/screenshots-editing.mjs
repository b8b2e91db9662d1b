// npm run screenshots:editing: draws the pictures of the documentation, docs/images/editing-*.png, from the running application.

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launch } from "./lib/chromium.mjs";
import { Window } from "./lib/editing.mjs";
import { Server, build } from "./lib/server.mjs";

const images = fileURLToPath(new URL("../../docs/images/", import.meta.url));

const article = 1;
const window = { viewport: { width: 770, height: 720 } };
const phone = { viewport: { width: 390, height: 830 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true };

const settle = (page) => page.evaluate(async () => {
  document.activeElement.blur();
  scrollTo(0, 0);
  await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
});

const dataURL = async (page) => `data:image/png;base64,${(await page.screenshot()).toString("base64")}`;

/** Two who write in one article: what one saved has come to the other, who wrote there, too. Returns both pictures. */
async function conflict(browser, server, colorScheme) {
  // One after the other: who came first is named first.
  const ada = await Window.open(browser, server.url, { name: "Ada", article, transport: "websocket", colorScheme, ...window });
  const ben = await Window.open(browser, server.url, { name: "Ben", article, transport: "shortpoll", colorScheme, ...window });
  await ada.here("Ben");
  const grace = await Window.open(browser, server.url, { name: "Grace", article, transport: "sse" });
  await ada.type("title", "The night ferry is back, for the summer");
  await ben.type("title", "The night boat is back");
  await ben.type("summary", "After six years the boat to the islands sails again, on Fridays and Sundays.");
  await ada.press("Save");
  await ada.state("Saved.");
  await ben.theirs("title", "The night ferry is back, for the summer");
  await ada.here("Ben edits Summary", "Grace");
  await grace.type("body", "The first crossing was sold out in a morning.");
  await ada.here("Ben edits Summary", "Grace edits Text");
  await ben.here("Grace edits Text", "Ada");
  await Promise.all([ada, ben].map((who) => settle(who.page)));
  const pictures = [await dataURL(ada.page), await dataURL(ben.page)];
  // As it was, for the next picture.
  await ben.page.click("#discard");
  await ada.type("title", "The night ferry is back");
  await ada.press("Save");
  await ben.has("title", "The night ferry is back");
  for (const who of [ada, ben, grace]) await who.close();
  return pictures;
}

/** Lays two windows side by side. */
async function frame(browser, file, dark, pictures) {
  const page = await browser.newPage({ viewport: { width: 1640, height: 820 } });
  await page.setContent(`<style>
    body { margin: 0; height: 100vh; display: flex; align-items: center; justify-content: center; gap: 28px; background: ${dark ? "#0a0b0e" : "#dcdfea"}; }
    figure { margin: 0; border-radius: 12px; overflow: hidden; box-shadow: 0 0 0 1px ${dark ? "#31343d" : "#c3c7d4"}; }
    figure::before { content: "● ● ●"; display: block; padding: 7px 14px; font: 11px/1.4 sans-serif; letter-spacing: 2px; background: ${dark ? "#262932" : "#e9e7e1"}; color: ${dark ? "#4a4e5a" : "#bfbcb3"}; }
    img { display: block; width: 770px; height: 720px; }
  </style>${pictures.map((url) => `<figure><img src="${url}" alt=""></figure>`).join("")}`);
  await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())));
  await page.screenshot({ path: images + file });
  await page.close();
}

const app = await build("editing");
const server = await Server.start(app);
const browser = await launch();
try {
  await mkdir(images, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await frame(browser, `editing-${colorScheme}.png`, colorScheme === "dark", await conflict(browser, server, colorScheme));
  }
  const others = await Promise.all([["Ada", 1], ["Ben", 1], ["Ben", 2]].map(([name, article]) => Window.open(browser, server.url, { name, article })));
  await others[1].type("body", "…");
  const grace = await Window.open(browser, server.url, { name: "Grace", transport: "longpoll", ...phone });
  await grace.listed(1, "Ben is editing", "Ada");
  await grace.listed(2, "Ben");
  const url = await dataURL(grace.page);
  await writeFile(images + "editing-phone.png", Buffer.from(url.split(",")[1], "base64"));
} finally {
  await browser.close();
  await server.stop();
  await app.clean();
}
