// One browser window on a table that is busy: it shows how many rows there are, so that what it takes is the client's.

import { Window as Base } from "./window.mjs";

export class Window extends Base {
  static patience = 60_000; // far more than it takes, for machines that have other things to do

  /** Opens the page and follows the rows, with the options of live.list. */
  static async open(browser, url, { transport, list }) {
    const window = await super.open(browser, url, { ready: "#shown" });
    await window.page.evaluate(follow, { transport, list });
    return window;
  }

  /** Begins to count anew. */
  async count() {
    await this.page.evaluate(() => Object.assign(window.counts, { told: 0, heard: 0, frames: 0, pauses: 0, long: [] }));
  }

  /** Waits until so many changes were heard, and returns what else was counted. */
  async hears(changes) {
    await this.until(() => window.counts.heard, changes);
    return this.page.evaluate(() => window.counts);
  }

  /** The rows that are shown and those that the server has, in their order, each as its key, its version and its time. */
  rows() {
    return this.page.evaluate(async () => [window.list.rows, await window.list.fetch()].map((rows) => rows.map((row) => `${row.id} ${row.version} ${row.at}`)));
  }
}

/** In the page. */
async function follow({ transport, list: options }) {
  const counts = (window.counts = { told: 0, heard: 0, frames: 0, pauses: 0, long: [] });
  let last = performance.now();
  requestAnimationFrame(function frame(now) {
    counts.frames++;
    // In so long a pause between two frames a timer tells what there is.
    counts.pauses += Math.floor((now - last) / 200);
    last = now;
    requestAnimationFrame(frame);
  });
  new PerformanceObserver((entries) => counts.long.push(...entries.getEntries().map((entry) => Math.round(entry.duration)))).observe({ type: "longtask" });
  const list = (window.list = Live.connect("/live/", { transport }).list("rows", options));
  list.on("change", () => counts.heard++);
  list.subscribe((rows) => {
    counts.told++;
    document.querySelector("#shown").textContent = `${rows.length} rows`;
  });
  await list.ready;
}
