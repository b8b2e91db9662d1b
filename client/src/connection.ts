// The connection decides which transport carries the session, and when to try another.
//
//   - A transport gets through when the server's hello (the first answer of a poll) arrives in time. The first that does is used and
//     remembered.
//   - One that got through and broke is tried again, with growing pauses; after three failures in a row, the next lower one. One that
//     never got through gives way to the next at once. After the last comes the first again, for ever.
//   - A server that has no time for us, or wants us elsewhere, is asked again when it said, and not before, by the same transport.
//   - Meanwhile better ones are tried beside the one in use, which goes on until the better one has got through.

import type { Client } from "./client.ts";
import { LiveError, asError, broken, silent, soon } from "./error.ts";
import type { Feed } from "./feed.ts";
import { PollLink } from "./poll.ts";
import { SSELink } from "./sse.ts";
import type { Problem, TransportName } from "./types.ts";
import { WebSocketLink } from "./websocket.ts";
import type { ClientMessage } from "./wire.ts";

/** One use of a transport. It reports to the connection by _opened, once or at each hello, and _down. */
export interface Link {
  _start(): void;
  /** It has become the one in use. */
  _begin?(): void;
  /** A subscription began (with its feed) or ended. */
  _changed(feed: Feed | undefined, id: number): void;
  /** Only a socket has it: the others leave calls to POSTs of their own. */
  _send?(messages: ClientMessage[]): void;
  /** The tab is looked at again, or the network came back: make sure soon that the server is there. */
  _check(): void;
  /** Another is in use, and only answers to calls are still awaited. */
  _retire?(): void;
  _close(): void;
}

/** Milliseconds: for a hello; after which a link counts as stable; between attempts at a better transport; for answers on a link left behind. */
const enum Ms { HELLO = 4500, STABLE = 10_000, SOON = 2000, LATER = 300_000, DRAIN = 5000 }

export class Connection {
  /** The link in use: it has said hello and not broken. */
  _link: Link | undefined;
  private _client: Client;
  /** Under which the memory has the name of the transport that got through. */
  private _key: string;
  private _names: readonly TransportName[];
  /** The place in _names of the link in use, and of the one tried now or next. */
  private _at = 0;
  private _trying = 0;
  private _next: Link | undefined;
  private _tries = 0;
  private _pauses = 0;
  /** Until when no server wants to be asked. */
  private _until = 0;
  /** What the life of this page has shown of a transport: that it works here, or that it does not. */
  private _works = new Map<TransportName, boolean>();
  private _deadline: unknown;
  private _retry: unknown;
  private _better: unknown;
  private _stable: unknown;
  private _offs: (() => void)[];

  constructor(client: Client) {
    this._client = client;
    const { transport, transports } = client._options;
    const names: readonly TransportName[] = transport ? [transport] : transports ?? ["websocket", "sse", "longpoll", "shortpoll"];
    this._key = "live " + client._http._place;
    this._names = names.filter(n => n !== "websocket" || client._WebSocket);
    if (!this._names.length) throw new TypeError("live: no transport");
    this._at = this._trying = Math.max(0, this._names.indexOf(client._memory.getItem(this._key) as TransportName));
    this._offs = [
      client._env.on("online", () => this._wake(true)),
      client._env.on("visibilitychange", () => client._env.hidden() || this._wake(false)),
    ];
    // Not at once: what is subscribed in the same turn goes with the first request.
    soon(() => client._closed || this._open(this._trying));
  }

  /** A subscription began (with its feed) or ended. */
  _changed(feed: Feed | undefined, id: number): void {
    this._link?._changed(feed, id);
  }

  /** A link said hello. */
  _opened(link: Link): void {
    if (link !== this._next) return;
    const { _env, _calls, _memory, _status } = this._client;
    const left = this._link;
    const name = this._names[(this._at = this._trying)]!;
    _env.clearTimeout(this._deadline);
    _env.clearTimeout(this._retry);
    this._next = undefined;
    this._link = link;
    this._works.set(name, true);
    _memory.setItem(this._key, name);
    this._stable = this._client._after(this._stable, Ms.STABLE, () => {
      this._tries = this._pauses = 0;
    });
    if (left) this._leave(left);
    link._begin?.();
    _status._set({ transport: name, connected: true, error: undefined, degraded: false });
    this._upgradeLater();
    _calls._opened();
  }

  /** A link broke, or never got through. */
  _down(link: Link, error: LiveError): void {
    const { _env, _calls } = this._client;
    link._close();
    if (link === this._next) {
      _env.clearTimeout(this._deadline);
      this._next = undefined;
      const name = this._names[this._trying]!;
      // Beside a link that works a failure says something about the transport; without one, perhaps only that the server is away.
      if (this._link ? this._trying < this._at : !this._works.has(name)) this._works.set(name, false);
      if (!this._link) this._fail(error, false);
      else if (this._trying === this._at) this._later(this._client._backoff(++this._pauses, error));
      else if (this._trying + 1 < this._at) this._open(this._trying + 1);
      else this._upgradeLater();
    } else if (link === this._link) {
      this._link = undefined;
      _env.clearTimeout(this._stable);
      _env.clearTimeout(this._better);
      _calls._broken(link);
      if (this._next) this._report(error);
      else this._fail(error, true);
    } else {
      _calls._broken(link);
    }
  }

  /**
   * The server asks to connect anew in so many milliseconds. Without a problem it goes on until then, and so does the link; and as it
   * spreads its clients over that time, each comes at the very moment that it was told.
   */
  _reconnect(link: Link, ms: number, problem?: Problem): void {
    if (problem) return this._down(link, new LiveError({ ...problem, retry_after: ms / 1000 }));
    if (link !== this._link) return;
    ms ||= this._client._backoff(++this._pauses);
    this._until = this._client._env.now() + ms;
    this._later(ms);
  }

  _close(): void {
    const { _env } = this._client;
    for (const off of this._offs) off();
    for (const timer of [this._deadline, this._retry, this._better, this._stable]) _env.clearTimeout(timer);
    for (const link of [this._link, this._next]) link?._close();
    this._link = this._next = undefined;
  }

  private _open(place: number): void {
    const client = this._client;
    client._env.clearTimeout(this._retry);
    this._next?._close();
    this._trying = place;
    const name = this._names[place]!;
    try {
      const link = (this._next =
        name === "websocket" ? new WebSocketLink(client) : name === "sse" ? new SSELink(client) : new PollLink(client, name === "longpoll"));
      this._deadline = client._after(this._deadline, Ms.HELLO, () => this._down(link, silent()));
      link._start();
    } catch (e) {
      this._down((this._next = { _close() {} } as Link), asError(e));
    }
  }

  private _later(ms: number): void {
    this._retry = this._client._after(this._retry, ms, () => this._open(this._link ? this._at : this._trying));
  }

  /** The link in use broke (dropped), or an attempt failed while there is none. */
  private _fail(error: LiveError, dropped: boolean): void {
    this._report(error);
    if (dropped) this._trying = this._at;
    const now = this._client._env.now();
    if (error._wait >= 0 || error.status === 429) this._until = now + this._client._backoff(++this._pauses, error);
    if (now < this._until) {
      // Where a server has no time, it says nothing about the transport.
      this._trying = this._at;
      return this._later(this._until - now);
    }
    const name = this._names[this._trying]!;
    if (++this._tries >= (this._works.get(name) ? 3 : 1)) {
      this._tries = 0;
      // One that says hello and breaks again and again does not work, whatever it says.
      if (dropped) this._works.set(name, false);
      if (++this._trying < this._names.length) {
        if (!dropped) return this._open(this._trying);
      } else {
        this._trying = 0;
      }
    }
    this._later(this._client._backoff(++this._pauses));
  }

  private _report(error: LiveError): void {
    const { _status } = this._client;
    // What the server said tells more than that a socket closed.
    if (!error.status && _status.current.error?.status) error = _status.current.error as LiveError;
    _status._set({ transport: undefined, connected: false, error });
  }

  /** The link is no longer used: it goes as soon as the answers that it owes have come, or could have. */
  private _leave(link: Link): void {
    const { _calls } = this._client;
    if (!_calls._owed(link)) return link._close();
    link._retire!();
    this._client._after(0, Ms.DRAIN, () => this._down(link, broken()));
  }

  private _upgradeLater(): void {
    if (!this._at) return;
    // A better one that used to work, or was not tried yet, deserves a try soon; one that failed, from time to time.
    const soon = this._names.slice(0, this._at).some(n => this._works.get(n) !== false);
    const ms = (soon ? Ms.SOON : Ms.LATER) * (0.8 + 0.4 * this._client._env.random());
    this._better = this._client._after(this._better, ms, () => this._upgrade());
  }

  private _upgrade(): void {
    if (!this._link || !this._at) return;
    if (this._next || this._client._env.now() < this._until) this._upgradeLater();
    else this._open(0);
  }

  private _wake(online: boolean): void {
    if (this._client._env.now() < this._until) return;
    this._pauses = 0;
    if (this._link) {
      this._link._check();
      if (online) this._upgrade();
    } else if (!this._next) {
      this._open(this._trying);
    }
  }
}
