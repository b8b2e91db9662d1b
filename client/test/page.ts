// A page with a form on a row that others edit, too.

import assert from "node:assert/strict";
import { connect } from "../src/index.ts";
import { editing, type Conflict, type EditingOptions, type Saved } from "../src/presence/index.ts";
import type { Options, TransportName } from "../src/types.ts";
import { Clock, settle } from "./clock.ts";
import { Control, Form } from "./dom.ts";
import { Server } from "./server.ts";

export const ben = { name: "Ben" };

/** A page with a form on article 7, as the server gave it out: with its version and its values. */
export class Page {
  server: Server;
  clock = new Clock();
  live;
  title: Control;
  body: Control;
  version: Control;
  button = new Control("submit", "", "", { textContent: "Save" });
  form: Form;
  ed;
  saved: Saved[] = [];
  conflicts: (readonly Conflict[])[] = [];
  gone: [string, string][] = [];
  errors: string[] = [];
  changes = 0;

  constructor({ server = new Server(), at = server, more = [], transport = "websocket", ...options }: EditingOptions & { server?: Server; at?: Server; more?: Control[]; transport?: TransportName } = {}, connection: Options = {}) {
    this.server = server;
    if (!server.table("articles").size) server.write("7", { title: "one two three", body: "text", n: 1, ...Object.fromEntries(more.map(c => [c.name, undefined])) }, undefined, "articles");
    const { fields, version } = at.table("articles").get("7")!;
    this.title = new Control("text", "title", String(fields["title"]));
    this.body = new Control("textarea", "body", String(fields["body"]), { labels: [{ textContent: " The text " }] });
    this.version = new Control("hidden", "version", String(version));
    this.form = new Form(this.version, new Control("hidden", "csrf", "x"), this.title, this.body, ...more, this.button);
    const { uuid } = this.clock.env, name = String(Page.count++);
    this.live = connect("http://host.test/live/", { WebSocket: server.WebSocket, fetch: server.fetch as never, storage: null, transport, env: { ...this.clock.env, uuid: () => `${name}-${uuid()}` }, ...connection });
    this.ed = editing(this.live, "articles", 7, {
      form: this.form as never,
      onSaved: s => this.saved.push(s),
      onConflict: c => this.conflicts.push(c),
      onGone: (reason, text) => this.gone.push([reason, text]),
      onError: e => this.errors.push(e.code),
      onChange: () => this.changes++,
      ...options,
    });
  }

  static count = 0;

  /** Somebody else saves. */
  async other(fields: object, by: unknown = ben): Promise<void> {
    this.server.write("7", fields as never, undefined, "articles", by);
    await this.clock.advance(10);
  }

  get row() {
    return this.server.table("articles").get("7")!;
  }

  get shows(): string[] {
    return [this.title.value, this.body.value, this.button.textContent];
  }

  get calls() {
    return this.server.calls.filter(c => c.router === "articles");
  }

  /** What the others see of this tab. */
  get told(): unknown {
    return this.server.table("presence").get(this.ed.presence.member!)?.fields["state"];
  }

  async close(): Promise<void> {
    this.ed.close();
    this.live.close();
    await settle();
    assert.deepEqual([this.clock.pending, this.form.listening], [0, 0]);
  }
}

export async function open(options?: ConstructorParameters<typeof Page>[0], connection?: Options): Promise<Page> {
  const page = new Page(options, connection);
  await page.clock.advance(10);
  return page;
}
