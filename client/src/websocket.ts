// WebSocket: one session as long as the socket lives, messages both ways.

import type { Client } from "./client.ts";
import type { Link } from "./connection.ts";
import { broken, silent, soon, type LiveError } from "./error.ts";
import type { Feed } from "./feed.ts";
import { Session } from "./session.ts";
import { lines, parse, together, type ClientMessage } from "./wire.ts";

/** The server says something every 20 to 30 s. After this much silence it is asked, and has so long to answer. */
const enum Ms { SILENCE = 35_000, PATIENCE = 8000, IMPATIENCE = 3000 }

export class WebSocketLink implements Link {
  private _client: Client;
  private _socket: WebSocket;
  private _session: Session;
  private _timer: unknown;
  private _out: ClientMessage[] = [];
  private _ended = false;

  constructor(client: Client) {
    this._client = client;
    this._session = new Session(client, this);
    // May throw, for instance where a content security policy forbids it.
    this._socket = new client._WebSocket!(client._http._href.replace(/^http/, "ws"));
    this._socket.onmessage = e => this._take(String(e.data));
    this._socket.onclose = this._socket.onerror = () => this._down(broken());
  }

  _start(): void {}

  _begin(): void {
    this._send(this._session._ask());
  }

  _changed(feed: Feed | undefined, id: number): void {
    if (feed) this._send([this._session._add(feed)]);
    else if (this._session._remove(id)) this._send([{ type: "unsubscribe", id }]);
  }

  /** What is said in one turn travels together. */
  _send(messages: ClientMessage[]): void {
    if (!this._out.length && messages.length) {
      soon(() => {
        const out = this._out.splice(0);
        if (this._ended) return;
        this._client._asking(out[out.length - 1]!.id);
        while (out.length) this._socket.send(lines(out.splice(0, together(out))));
      });
    }
    this._out.push(...messages);
  }

  _check(): void {
    this._ping(Ms.IMPATIENCE);
  }

  /** From now on only the answers to calls count: the subscriptions go on elsewhere. */
  _retire(): void {
    this._session = new Session(this._client);
  }

  _close(): void {
    this._ended = true;
    this._client._env.clearTimeout(this._timer);
    this._socket.close();
  }

  private _down(e: LiveError): void {
    if (!this._ended) this._client._connection._down(this, e);
  }

  private _take(text: string): void {
    // Whatever came is a sign of life, and takes the place of a pong.
    this._timer = this._client._after(this._timer, Ms.SILENCE, () => this._ping(Ms.PATIENCE));
    for (const m of parse(text)) {
      if (this._ended) return;
      if (m.type === "hello") this._client._connection._opened(this);
      else this._session._receive(m, true);
    }
  }

  private _ping(patience: number): void {
    this._send([{ type: "ping", id: this._client._nextID() }]);
    this._timer = this._client._after(this._timer, patience, () => this._down(silent()));
  }
}
