// SSE: a stream that the server never ends. To change the subscriptions a new stream is opened, and the old one goes on until the new
// one has said hello.

import { broken, silent } from "./error.ts";
import { EVENTS } from "./http.ts";
import { PostLink } from "./post.ts";
import { Session } from "./session.ts";
import { parse } from "./wire.ts";

/** The server says something every 20 to 30 s; a stream cannot be asked. HELLO is how long a proxy may keep the first word back. */
const enum Ms { SILENCE = 40_000, SUSPICIOUS = 32_000, HELLO = 5000 }

export class SSELink extends PostLink {
  /** The stream that has not said hello yet; _abort is that of the one in use. */
  private _opening: AbortController | undefined;
  private _last = 0;

  override _start(): void {
    void this._open();
  }

  override _check(): void {
    if (this._client._env.now() - this._last > Ms.SUSPICIOUS) this._renew();
  }

  override _close(): void {
    super._close();
    this._opening?.abort();
  }

  /** A stream that is just opening is looked at when it has said hello. */
  protected override _renew(): void {
    if (!this._opening) void this._open();
  }

  private async _open(): Promise<void> {
    const client = this._client;
    const abort = (this._opening = new AbortController());
    const { signal } = abort;
    const session = new Session(client, this);
    const timer = client._after(0, Ms.HELLO, () => this._down(silent()));
    try {
      const response = await client._http._post(session._ask(), EVENTS, signal);
      const reader = response.body!.getReader();
      const text = new TextDecoder();
      const events = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (signal.aborted) return;
        if (done) throw broken();
        this._last = client._env.now();
        this._timer = client._after(this._timer, Ms.SILENCE, () => this._down(silent()));
        for (const m of events._push(text.decode(value, { stream: true })).flatMap(parse)) {
          if (signal.aborted) return;
          if (m.type === "hello") {
            client._env.clearTimeout(timer);
            this._abort?.abort();
            this._abort = abort;
            this._opening = undefined;
            this._resting = false;
            this._session = session;
            client._connection._opened(this);
            this._changed();
          } else {
            session._receive(m);
          }
        }
      }
    } catch (e) {
      if (!signal.aborted) this._opening === abort ? this._failed(e, this._session, () => void this._open()) : this._down(e);
    } finally {
      client._env.clearTimeout(timer);
    }
  }
}

/** The data of the events of a stream that comes in pieces, cut anywhere. The name and id of an event repeat what the message says. */
export class EventParser {
  private _rest = "";
  /** A CR at the very end waits: it may be the first half of a CRLF. */
  private _half = "";
  private _data: string[] = [];

  _push(text: string): string[] {
    const out: string[] = [];
    text = this._half + text;
    this._half = text.endsWith("\r") ? "\r" : "";
    const lines = text.slice(0, text.length - this._half.length).split(/\r\n?|\n/);
    // What came before is not looked through once more: a long line comes in many pieces.
    lines[0] = this._rest + lines[0];
    this._rest = lines.pop()!;
    for (const line of lines) {
      if (!line) {
        if (this._data.length) out.push(this._data.splice(0).join("\n"));
      } else if (line.startsWith("data:")) {
        this._data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return out;
  }
}
