// npm run screenshots:todo: draws the pictures of the documentation, docs/images/todo-*.png, from the running application.

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launch } from "./lib/chromium.mjs";
import { Server, build } from "./lib/server.mjs";
import { Window } from "./lib/todo.mjs";

const images = fileURLToPath(new URL("../../docs/images/", import.meta.url));

const people = { ada: "Ada", ben: "Ben", grace: "Grace" };
const lists = [
  ["Groceries", ["Lemons", "Oat milk", "Bread"]],
  ["Summer party", []],
  ["Trip to the coast", ["Book the ferry", "Find the tent"]],
];
// Title, who added it, what was done last and by whom, and how many minutes ago.
const party = [
  ["Ask the neighbours about the noise", "grace", "ticked", "grace", 1500],
  ["Borrow two long tables", "ben", "ticked", "ada", 190],
  ["Ice, and plenty of it", "ada", "added", "ada", 64],
  ["Playlist: something everybody can sing along to", "grace", "renamed", "ben", 12],
  ["Lanterns for the apple tree", "ben", "added", "ben", 3],
];

async function fill(server) {
  const as = (who) => ({ Cookie: `visitor=${people[who]}` });
  await server.request("DELETE", "/live/lists/1", undefined, { "If-Match": '"1"' });
  const ids = {};
  for (const [name, titles] of lists) {
    ids[name] = (await server.request("POST", "/live/lists", { name }, as("ada"))).fields.id;
    for (const title of titles) await server.request("POST", "/live/todos", { list_id: ids[name], title }, as("ada"));
  }
  for (const [title, adder, last, who] of party) {
    const row = await server.request("POST", "/live/todos", { list_id: ids["Summer party"], title: last === "renamed" ? "Playlist" : title }, as(adder));
    if (last === "added") continue;
    await server.request("PATCH", `/live/todos/${row.key}`, last === "ticked" ? { done: true } : { title }, { ...as(who), "If-Match": `"${row.version}"` });
  }
}

/** Opens the party's list, makes it look as if time had passed, and returns the picture as a data URL. */
async function picture(browser, server, who, transport, options, { adds, types } = {}) {
  const window = await Window.open(browser, server.url, { name: people[who], transport, ...options });
  await window.openList("Summer party");
  if (adds) await window.add(adds);
  await window.item("Charcoal").waitFor();
  await window.page.evaluate(async (minutes) => {
    const { since } = await import("/static/people.js");
    for (const item of document.querySelectorAll("#todos > .todo")) {
      const ago = minutes[item.querySelector(".title").textContent] ?? 0;
      since(item.querySelector("time"), new Date(Date.now() - ago * 60_000).toISOString());
    }
    document.activeElement.blur();
    await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
  }, Object.fromEntries(party.map(([title, , , , minutes]) => [title, minutes])));
  if (types) await window.page.locator("#new-todo").pressSequentially(types);
  const png = await window.page.screenshot();
  await window.close();
  return `data:image/png;base64,${png.toString("base64")}`;
}

/** Lays two windows side by side. */
async function frame(browser, file, dark, pictures) {
  const page = await browser.newPage({ viewport: { width: 1640, height: 820 } });
  await page.setContent(`<style>
    body { margin: 0; height: 100vh; display: flex; align-items: center; justify-content: center; gap: 28px; background: ${dark ? "#0a0b0e" : "#d9e6e1"}; }
    figure { margin: 0; border-radius: 12px; overflow: hidden; box-shadow: 0 0 0 1px ${dark ? "#31343d" : "#bccbc5"}; }
    figure::before { content: "● ● ●"; display: block; padding: 7px 14px; font: 11px/1.4 sans-serif; letter-spacing: 2px; background: ${dark ? "#262932" : "#e9e7e1"}; color: ${dark ? "#4a4e5a" : "#bfbcb3"}; }
    img { display: block; width: 770px; height: 720px; }
  </style>${pictures.map((url) => `<figure><img src="${url}" alt=""></figure>`).join("")}`);
  await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())));
  await page.screenshot({ path: images + file });
  await page.close();
}

const app = await build("todo");
const server = await Server.start(app);
const browser = await launch();
try {
  await mkdir(images, { recursive: true });
  await fill(server);
  const window = { viewport: { width: 770, height: 720 } };
  let adds = "Charcoal";
  for (const colorScheme of ["light", "dark"]) {
    const options = { ...window, colorScheme };
    const left = await picture(browser, server, "ada", "websocket", options, { adds });
    const right = await picture(browser, server, "ben", "sse", options, { types: "Corn on the cob, two each" });
    await frame(browser, `todo-${colorScheme}.png`, colorScheme === "dark", [left, right]);
    adds = undefined;
  }
  const phone = { viewport: { width: 390, height: 830 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true };
  const url = await picture(browser, server, "grace", "longpoll", phone);
  await writeFile(images + "todo-phone.png", Buffer.from(url.split(",")[1], "base64"));
} finally {
  await browser.close();
  await server.stop();
  await app.clean();
}
