// What SSE and polls have in common: they are stateless, so each request carries all subscriptions with their cursors, and a
// change of the subscriptions means to ask anew.

import type { Client } from "./client.ts";
import type { Link } from "./connection.ts";
import { asError, soon } from "./error.ts";
import { Session } from "./session.ts";
import type { ClientMessage } from "./wire.ts";

export abstract class PostLink implements Link {
  protected _client: Client;
  /** The session of the stream or round in use. */
  protected _session: Session | undefined;
  protected _abort: AbortController | undefined;
  protected _timer: unknown;
  protected _ended = false;
  private _due = false;

  constructor(client: Client) {
    this._client = client;
  }

  abstract _start(): void;
  abstract _check(): void;
  /** Asks anew, unless that happens anyhow. */
  protected abstract _renew(): void;

  /** All changes of one turn are one. */
  _changed(): void {
    if (this._due) return;
    this._due = true;
    soon(() => {
      this._due = false;
      if (!this._ended && this._session && !this._session._covers(this._client._feeds)) this._renew();
    });
  }

  _close(): void {
    this._ended = true;
    this._abort?.abort();
    this._client._env.clearTimeout(this._timer);
  }

  /** The messages that ask for all subscriptions, and when there is none something else that is answered. */
  protected _ask(session: Session): ClientMessage[] {
    const messages = [...this._client._feeds].map(f => session._add(f));
    return messages.length ? messages : [{ type: "ping", id: this._client._nextID() }];
  }

  protected _down(e: unknown): void {
    if (!this._ended) this._client._connection._down(this, asError(e));
  }
}
