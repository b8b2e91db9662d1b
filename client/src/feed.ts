// A feed is what a list and a channel have in common: one subscription on the wire, held open while somebody listens.

import type { Client } from "./client.ts";
import { LiveError, guard } from "./error.ts";
import type { More } from "./hook.ts";
import type { FeedStatus, Problem, Stop } from "./types.ts";
import type { DataMessage, SnapshotMessage, SubscribeMessage } from "./wire.ts";
import type { Window } from "./window.ts";

/** A wire subscription outlives its last listener by this: a component that is mounted again soon resumes for nothing. */
const enum Ms { GRACE = 250 }

export const LOADING: FeedStatus = Object.freeze({ state: "loading" });

export abstract class Feed {
  /** The id on the wire; 0 while not subscribed. Each subscribing takes a new one, so that answers to an earlier one are told apart. */
  _id = 0;
  _cursor: string | undefined;
  /** What the server said with the last snapshot of what may be seen; it goes with the cursor, and tells if that has changed. */
  _tag: string | undefined;
  /** Of a list. */
  _window: Window | undefined;
  _status = LOADING;
  _client: Client;
  /** What is equal for two feeds that may share one subscription. */
  _name: string;
  /** The router or channel. */
  _of: string;
  /** How long rows and cursor are kept after the wire subscription ended, for a listener who comes back. */
  protected _keep = 60_000;
  protected _more: More | undefined;
  /** Each tells a listener what is other than when it told him last. */
  private _followers = new Set<() => void>();
  private _holders = 0;
  private _failures = 0;
  private _timer: unknown;

  constructor(client: Client, name: string, of: string, more?: More) {
    this._client = client;
    this._name = name;
    this._of = of;
    this._more = more;
  }

  get status(): FeedStatus {
    return this._status;
  }

  abstract _subscribe(): SubscribeMessage;
  /** Takes a change or message, whose cursor has been checked. */
  abstract _data(m: DataMessage): void;
  /** Takes a snapshot or resync. */
  abstract _start(m: SnapshotMessage): void;
  /** Tells the listeners what happened since the last time. */
  _notify(): void {
    for (const tell of this._followers) tell();
  }
  /** The cursor moved, or never will again. */
  _moved(): void {}
  /** What follows the cursor comes next. */
  _resumed(): void {}
  /** Drops what was known. */
  abstract _forget(): void;

  /** Keeps the subscription open until what it returns is called. */
  _hold(): () => void {
    if (!this._holders++) {
      this._client._env.clearTimeout(this._timer);
      if (this._client._closed) {
        this._is({ state: "closed" });
      } else if (!this._id) {
        if (this._status.state === "closed") this._is(LOADING);
        this._join();
      }
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (!--this._holders) this._later(Ms.GRACE, () => {
        this._part();
        this._later(this._keep, () => {
          this._forget();
          this._status = LOADING;
          this._client._cache.delete(this._name);
        });
      });
    };
  }

  /** Adds f to the set of listeners, under an identity of its own, so that one function given twice is taken back once. */
  protected _listen<A extends unknown[]>(all: Set<(...a: A) => void>, f: (...a: A) => void, release: Stop = this._hold()): Stop {
    const listener = (...a: A) => f(...a);
    all.add(listener);
    return () => {
      all.delete(listener);
      release();
    };
  }

  /** Tells f the first two of the values now, and when any of them is another one. */
  protected _follow(f: (a: any, b: any) => void, values: () => unknown[]): Stop {
    let was: unknown[] = [];
    const tell = () => {
      const now = values();
      if (now.some((v, i) => v !== was[i])) guard(f, (was = now)[0], now[1]);
    };
    const off = this._listen(this._followers, tell);
    tell();
    return off;
  }

  /** The server answered: the subscription lives. */
  _answered(): void {
    this._failures = 0;
    this._is({ state: "live" });
  }

  /** The server refused or ended the subscription. */
  _refused(problem: Problem): void {
    const error = new LiveError(problem);
    this._part();
    if ((problem.code === "malformed_cursor" || problem.errors?.["bound"]) && this._cursor) {
      this._cursor = this._tag = undefined;
      this._join();
    } else if (error.status >= 500 || error.status === 429 || error.code === "id_in_use") {
      // The server is in trouble, not the subscription: ask again after a while. That it wants to be asked later is no news at first.
      if (this._failures++ || !(error._wait >= 0)) this._is({ state: this._status.state, error });
      this._later(this._client._backoff(this._failures, error), () => this._holders && this._join());
    } else {
      this._end(error);
    }
  }

  /** Ends for good. What the server refuses may no longer be shown; what was known when the client was closed may. */
  _end(error?: LiveError): void {
    this._client._env.clearTimeout(this._timer);
    this._part();
    if (error) this._forget();
    this._is({ state: "closed", ...(error && { error }) });
  }

  protected _is(status: FeedStatus): void {
    if (status.state === this._status.state && status.error === this._status.error) return;
    this._status = Object.freeze(status);
    this._dirty();
  }

  protected _dirty(): void {
    this._client._dirty(this);
  }

  /** Subscribes under a new id, because what is asked for is another thing now. What is known stays, and goes on from its cursor. */
  _again(): void {
    const id = this._id, { _connection } = this._client;
    this._id = this._client._nextID();
    _connection._changed(this, this._id);
    _connection._changed(undefined, id);
  }

  private _join(): void {
    this._id = this._client._nextID();
    this._client._feeds.add(this);
    this._client._cache.set(this._name, this);
    this._client._connection._changed(this, this._id);
  }

  private _part(): void {
    const id = this._id;
    if (!id) return;
    this._id = 0;
    this._client._feeds.delete(this);
    this._client._connection._changed(undefined, id);
    this._moved();
  }

  private _later(ms: number, f: () => void): void {
    this._timer = this._client._after(this._timer, ms, f);
  }
}
