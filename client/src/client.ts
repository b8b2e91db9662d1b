// The client: what connect returns, and the place where its parts find each other.

import { Calls, type Call } from "./calls.ts";
import { ChannelFeed } from "./channel.ts";
import { Connection } from "./connection.ts";
import { CountFeed } from "./count.ts";
import { after } from "./cursor.ts";
import { environment, memory } from "./env.ts";
import { quiet, soon, unknown, type LiveError } from "./error.ts";
import { Feed } from "./feed.ts";
import { Http } from "./http.ts";
import { ListFeed, type ListSpec } from "./list.ts";
import { fromWire, rowsOf } from "./rows.ts";
import { Status } from "./status.ts";
import type { Core, More } from "./hook.ts";
import type { AnyLive, CallOptions, Channel, Count, Env, Explanation, Key, ListOptions, Memory, Options, Where } from "./types.ts";
import type { ClientMessage, ResultMessage } from "./wire.ts";

export class Client implements AnyLive, Core {
  hook: Core["hook"];
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
  /** They will be looked at, when the turn is over or with the next frame. */
  private _due = false;
  private _asked: { _id: number; _at: number } | undefined;

  constructor(url: string, options: Options) {
    this._options = options;
    this._env = environment(options.env);
    this._memory = memory(options.transport ? null : options.storage);
    this._http = new Http(url, options);
    this.hook = { env: this._env, options, url: this._http._href };
    this._WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.status = this._status = new Status();
    this._calls = new Calls(this);
    this._connection = new Connection(this);
  }

  list<T extends object>(router: string, { where, order, limit, include }: ListOptions = {}, more?: More): ListFeed<T> {
    const options: ListSpec = copy({ where, order: order?.toString() || undefined, limit, include });
    const name = canonical(["list", router, options, more?.()]);
    return this._feed(name, () => new ListFeed<T>(this, name, router, more, options));
  }

  count(router: string, { where }: { where?: Where } = {}, more?: More): Count {
    const options = copy({ where });
    const name = canonical(["count", router, options, more?.()]);
    return this._feed(name, () => new CountFeed(this, name, router, () => ({ ...options, ...more?.() })));
  }

  call(router: string, verb: string, { key, version, data, base }: CallOptions = {}): Promise<any> {
    const message = { router, verb, key: key === undefined ? key : String(key), version, data, base };
    return this._ask(message, m => ("data" in m ? m.data : m.row ? fromWire(m.row).fields : m.rows && rowsOf(m)), !/^(list|get)$/.test(verb));
  }

  explain(router: string, key: Key, { where }: { where?: Where } = {}): Promise<Explanation> {
    return this._ask({ type: "explain", router, key: String(key), where }, m => m.data as Explanation);
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
    // What is over 2^31 would be over at once.
    return this._closed ? undefined : this._env.setTimeout(f, Math.min(ms, 2 ** 31 - 1));
  }

  /**
   * How long to rest after n failures in a row, and what the server asked for besides. "Full jitter": a crowd that lost its server
   * does not come back at one moment.
   */
  _backoff(n: number, error?: LiveError): number {
    return (error?._wait || 0) + 500 + this._env.random() * (Math.min(30_000, 500 * 2 ** n) - 500);
  }

  _call(message: object, call: Omit<Call, "_message">): void {
    this._calls._add({ ...call, _message: { type: "call", id: this._nextID(), ...message } as ClientMessage });
  }

  /** Asks for what is shown nowhere. A write goes under a mutation; its feed, where it has one, is to hear the echo. */
  _ask<R>(message: object, of: (m: ResultMessage) => R | Promise<R>, write: boolean | Feed = false): Promise<R> {
    return quiet(new Promise<R>((resolve, reject) => {
      this._call({ ...message, ...(write && { mutation: this._env.uuid() }) }, {
        _done: m => resolve(of(m)),
        _fail: e => reject(e.code === "unknown_outcome" ? unknown() : e),
        ...(write && { _lost: reject }),
        ...(write instanceof Feed && { _feed: write }),
      });
    }));
  }

  /** The newest cursor that is known of anything. */
  _newest(): string | undefined {
    let newest: string | undefined;
    for (const { _cursor } of this._cache.values()) if (_cursor && after(_cursor, newest)) newest = _cursor;
    return newest;
  }

  /** The message of this id is on its way: how long its answer takes is the lag. */
  _asking(id: number): void {
    this._asked = { _id: id, _at: this._env.now() };
  }

  _answer(id: number): void {
    if (this._asked?._id === id) this._status._set({ lag: Math.round(this._env.now() - this._asked._at) });
  }

  /** The feed has news. All that happens in one turn is told together; and what happens soon after news were told, with the next frame. */
  _dirty(feed: Feed): void {
    this._news.add(feed);
    if (!this._due) {
      this._due = true;
      soon(() => this._tell());
    }
  }

  private _tell(): void {
    const news = this._news;
    this._news = new Set();
    if ((this._due = !!news.size)) this._env.frame(() => this._tell());
    for (const f of news) f._notify();
  }

  private _feed<F extends Feed>(name: string, make: () => F): F {
    const feed = (this._cache.get(name) as F | undefined) ?? make();
    this._cache.set(name, feed);
    return feed;
  }
}

/** A value as it will be on the wire: what the caller does to the object later changes nothing. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** JSON with the members in order, so that equal things have equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    v instanceof Object && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v);
}
