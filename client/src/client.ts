// The client: what connect returns, and the place where its parts find each other.

import { Calls, type Call } from "./calls.ts";
import { ChannelFeed } from "./channel.ts";
import { Connection } from "./connection.ts";
import { environment, memory } from "./env.ts";
import { soon } from "./error.ts";
import type { Feed } from "./feed.ts";
import { Http } from "./http.ts";
import { ListFeed } from "./list.ts";
import { Status } from "./status.ts";
import type { Channel, Env, List, ListOptions, Live, Memory, Options } from "./types.ts";
import type { ClientMessage } from "./wire.ts";

export class Client implements Live {
  status: Status;
  _options: Options;
  _env: Env;
  _memory: Memory;
  _http: Http;
  _WebSocket: Options["WebSocket"];
  _status: Status;
  _calls: Calls;
  _connection: Connection;
  /** The feeds that are subscribed, or are to be at the next connection. */
  _feeds = new Set<Feed>();
  /** All that somebody may come back to, by what they are. */
  _cache = new Map<string, Feed>();
  _closed = false;
  private _id = 0;
  private _news = new Set<Feed>();
  private _asked: { _id: number; _at: number } | undefined;

  constructor(url: string, options: Options) {
    this._options = options;
    this._env = environment(options.env);
    this._memory = memory(options.transport ? null : options.storage);
    this._http = new Http(url, options);
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.status = this._status = new Status();
    this._calls = new Calls(this);
    this._connection = new Connection(this);
  }

  list<T extends object>(router: string, { where, order }: ListOptions = {}): List<T> {
    // A copy of the filter as it will be on the wire: what the caller does to the object later changes nothing.
    const options = JSON.parse(JSON.stringify({ where, order: order || undefined })) as ListOptions;
    const name = canonical(["list", router, options]);
    return this._feed(name, () => new ListFeed<T>(this, name, router, options));
  }

  channel<M>(channel: string): Channel<M> {
    const name = canonical(["channel", channel]);
    return this._feed(name, () => new ChannelFeed<M>(this, name, channel));
  }

  close(): void {
    if (this._closed) return;
    this._closed = true;
    this._connection._close();
    this._calls._close();
    for (const feed of this._cache.values()) feed._end();
    this._status._set({ transport: undefined, connected: false });
  }

  _nextID(): number {
    return ++this._id;
  }

  /** Calls f in so many milliseconds instead of what the timer was for; never after close. */
  _after(timer: unknown, ms: number, f: () => void): unknown {
    this._env.clearTimeout(timer);
    return this._closed ? undefined : this._env.setTimeout(f, ms);
  }

  /** "Full jitter": a crowd that lost its server does not come back at one moment. */
  _backoff(n: number): number {
    return 500 + this._env.random() * (Math.min(20_000, 500 * 2 ** n) - 500);
  }

  _call(message: Partial<Extract<ClientMessage, { type: "call" }>>, call: Omit<Call, "_message">): void {
    this._calls._add({ ...call, _message: { type: "call", id: this._nextID(), ...message } as ClientMessage });
  }

  /** The message of this id is on its way: how long its answer takes is the lag. */
  _asking(id: number): void {
    this._asked = { _id: id, _at: this._env.now() };
  }

  _answer(id: number): void {
    if (this._asked?._id === id) this._status._set({ lag: Math.round(this._env.now() - this._asked._at) });
  }

  /** The feed has news. All that happens in one turn is told together. */
  _dirty(feed: Feed): void {
    if (!this._news.size) {
      soon(() => {
        const news = [...this._news];
        this._news.clear();
        for (const f of news) f._notify();
      });
    }
    this._news.add(feed);
  }

  private _feed<F extends Feed>(name: string, make: () => F): F {
    const feed = (this._cache.get(name) as F | undefined) ?? make();
    this._cache.set(name, feed);
    return feed;
  }
}

/** JSON with the members in order, so that equal things have equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    v instanceof Object && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v);
}
