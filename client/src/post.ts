// What SSE and polls have in common: they are stateless, so each request carries all subscriptions with their cursors, and a
// change of the subscriptions means to ask anew.

import type { Client } from "./client.ts";
import type { Link } from "./connection.ts";
import { asError, soon } from "./error.ts";
import type { Session } from "./session.ts";

/** How many subscriptions a server takes, unless it was told otherwise. */
const MOST = 128;

export abstract class PostLink implements Link {
  protected _client: Client;
  /** The session of the stream or round in use. */
  protected _session: Session | undefined;
  protected _abort: AbortController | undefined;
  protected _timer: unknown;
  protected _ended = false;
  /** It was refused for now: nothing is asked until its time is over. */
  protected _resting = false;
  private _due = false;
  private _rest: unknown;

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
    this._client._env.clearTimeout(this._rest);
  }

  /** An attempt failed. Where one that got through only has to wait, that is no fault of the link and no news: once it is tried again. */
  protected _failed(e: unknown, through: unknown, again: () => void): void {
    const error = asError(e), feeds = [...this._client._feeds];
    if (/^(batch|message)_too_large/.test(error.code) && feeds.length) {
      // The newest have no place in a request, so they wait as they would for a place in a session.
      for (const f of feeds.slice(feeds.length > MOST ? MOST : feeds.length / 2)) f._refused({ ...error, status: 429 });
      again();
    } else if (through && error._wait >= 0 && !this._resting) {
      this._resting = true;
      this._rest = this._client._after(0, this._client._backoff(1, error), again);
    } else {
      this._down(e);
    }
  }

  protected _down(e: unknown): void {
    if (!this._ended) this._client._connection._down(this, asError(e));
  }
}
