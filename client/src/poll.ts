// Polls, long and short: one request after another.

import type { Client } from "./client.ts";
import { silent } from "./error.ts";
import { NDJSON } from "./http.ts";
import { PostLink } from "./post.ts";
import { Session } from "./session.ts";
import { parse } from "./wire.ts";

/** How much longer than the wait an answer may take, and how long to rest when a long-poll comes back at once with nothing new. */
const enum Ms { PATIENCE = 10_000, REST = 1000 }

export class PollLink extends PostLink {
  private _wait: number;
  private _through = false;

  constructor(client: Client, long: boolean) {
    super(client);
    this._wait = long ? (client._options.wait ?? 25) : 0;
  }

  /** The first round does not wait: its answer is the hello of a poll. */
  override _start(): void {
    void this._round(0);
  }

  override _check(): void {
    if (!this._resting) void this._round(0);
  }

  /**
   * An answer that is on its way to the first round is looked at when it is there. The server does not wait: who asked for more rows
   * is to hear at once that there are none.
   */
  protected override _renew(): void {
    if (this._through) this._check();
  }

  private async _round(wait: number): Promise<void> {
    const client = this._client;
    const { _env, _feeds } = client;
    const abort = (_env.clearTimeout(this._timer), this._abort?.abort(), (this._abort = new AbortController()));
    const session = (this._session = new Session(client, this));
    // With nothing to ask for it is quiet until something is subscribed.
    if (this._through && !_feeds.size) return;
    const begin = _env.now();
    const messages = session._ask();
    this._timer = client._after(0, wait * 1000 + Ms.PATIENCE, () => this._down(silent()));
    if (!wait) client._asking(messages[0]!.id);
    let text: string;
    try {
      text = await (await client._http._post(messages, NDJSON, abort.signal, wait)).text();
    } catch (e) {
      if (abort.signal.aborted) return;
      _env.clearTimeout(this._timer);
      return this._failed(e, this._through, () => void this._round(0));
    }
    if (abort.signal.aborted) return;
    this._resting = false;
    if (!this._through) {
      this._through = true;
      client._connection._opened(this);
    }
    let pause = this._wait ? (wait && _env.now() - begin < Ms.REST ? Ms.REST : 0) : (client._options.pollInterval ?? 2000) * (_env.hidden() ? 5 : 1);
    const answers = parse(text);
    // Each round says it anew.
    if (!answers.some(m => m.type === "status")) client._status._set({ degraded: false });
    for (const m of answers) {
      if (this._ended) return;
      // The next round is a new connection anyhow: it only has to come late enough.
      if (m.type === "reconnect" && !m.problem) {
        pause = m.after || Ms.REST;
        break;
      }
      session._receive(m);
      // That a window lacks nothing is no news.
      if (this._wait && !/^(resumed|cursor|status)$/.test(m.type) && !(m.type === "change" && !m.changes.length)) pause = 0;
    }
    if (!session._covers(_feeds)) pause = 0;
    this._timer = client._after(this._timer, pause, () => void this._round(this._wait));
  }
}
