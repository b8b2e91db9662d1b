// A program that writes todos without a pause, through whatever server takes them, while browsers look on.

import { randomUUID } from "node:crypto";

const patience = 20_000;

export class Writer {
  /** Starts to write into a list: each round adds an item, ticks the one before and deletes the one before that. */
  static start(url, list) {
    const writer = new Writer();
    writer.url = url;
    writer.list = list;
    writer.done = 0; // rounds
    writer.waiting = [];
    writer.end = writer.#write();
    writer.end.catch(() => {}); // more and stop tell
    return writer;
  }

  async #write() {
    const rows = [];
    while (!this.stopping) {
      rows.push(await request(this.url, "POST", "/live/todos", { list_id: this.list, title: `round ${this.done}` }));
      if (rows.length > 1) rows.splice(-2, 1, await this.#change("PATCH", rows.at(-2), { done: true }));
      if (rows.length > 2) await this.#change("DELETE", rows.shift());
      this.done++;
      this.waiting = this.waiting.filter(({ at, resolve }) => this.done < at || resolve());
    }
  }

  #change(method, { key, version }, body) {
    return request(this.url, method, `/live/todos/${key}`, body, { "If-Match": `"${version}"` });
  }

  /** Waits until so many more rounds are done. */
  async more(rounds) {
    await Promise.race([new Promise((resolve) => this.waiting.push({ at: this.done + rounds, resolve })), this.end]);
  }

  /** Stops after the round that it is in, and returns the titles of what it has left. */
  async stop() {
    this.stopping = true;
    await this.end;
    return [`[ ] round ${this.done - 1}`, `[x] round ${this.done - 2}`];
  }
}

/** Sends a request as a program does that wants it done exactly once: again, with the same key, while nobody answers or the server is away. */
export async function request(url, method, path, body, more) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": randomUUID(), ...more };
  for (const end = Date.now() + patience; ; await new Promise((next) => setTimeout(next, 20))) {
    const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) }).catch((error) => ({ status: 502, text: () => error }));
    if (answer.ok) return answer.status === 204 ? undefined : answer.json();
    if (answer.status < 500 || Date.now() > end) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
}
