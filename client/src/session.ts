// A session is what the server keeps for one socket, one stream or one round: which subscriptions it was asked for, which
// of them it has answered, and the names ("query") under which it sends their data. Nothing of it holds in another session.

import type { Client } from "./client.ts";
import type { Link } from "./connection.ts";
import { after } from "./cursor.ts";
import type { Feed } from "./feed.ts";
import type { ClientMessage, ServerMessage, SubscribeMessage } from "./wire.ts";

export class Session {
  private _client: Client;
  private _link: Link | undefined;
  /** Subscriptions by id; what was unsubscribed is gone from here. */
  private _asked = new Map<number, Feed>();
  /** What was said to ask for those that were not answered yet: their cursors and bounds may have moved since. */
  private _with = new Map<number, SubscribeMessage>();
  /** The answered ones, by the name of their data. Several may share one name. */
  private _queries = new Map<string, Set<number>>();

  /**
   * A session without a link is one aside. It belongs to a round that carries calls while a stream or poll carries the subscriptions. It names a list
   * only to hear the echo of its writes sooner. It may move that list forward, but not start it anew: what the main
   * session already sent after that start would not come again.
   */
  constructor(client: Client, link?: Link) {
    this._client = client;
    this._link = link;
  }

  /** Notes the subscription of the feed, and returns the message that asks for it. */
  _add(feed: Feed): SubscribeMessage {
    const message = feed._subscribe();
    this._asked.set(feed._id, feed);
    this._with.set(feed._id, message);
    return message;
  }

  /** The messages that ask for all subscriptions, and when there is none something else: it is answered, and shows that somebody is here. */
  _ask(): ClientMessage[] {
    const messages = [...this._client._feeds].map(f => this._add(f));
    return messages.length ? messages : [{ type: "ping", id: this._client._nextID() }];
  }

  /** Whether the subscription was there. */
  _remove(id: number): boolean {
    return this._asked.delete(id);
  }

  /** Whether exactly these subscriptions were asked for. */
  _covers(feeds: Set<Feed>): boolean {
    return this._asked.size === feeds.size && [...feeds].every(f => this._asked.get(f._id) === f);
  }

  _has(feed: Feed | undefined): boolean {
    return [...this._queries.values()].some(ids => [...ids].some(id => this._living(id) === feed));
  }

  /** A feed that meanwhile ended or subscribed anew under another id is no longer meant. */
  private _living(id: number): Feed | undefined {
    const feed = this._asked.get(id);
    return feed && feed._id === id ? feed : undefined;
  }

  private _bind(id: number, query: string): Feed | undefined {
    const feed = this._living(id);
    if (feed) {
      // A resync may give it another name; what comes by the old one is no longer for it.
      for (const ids of this._queries.values()) ids.delete(id);
      this._with.delete(id);
      this._queries.set(query, (this._queries.get(query) || new Set()).add(id));
    }
    return feed;
  }

  /** Takes one message. `ordered` tells that results come after the changes that they caused, as they do over a socket. */
  _receive(m: ServerMessage, ordered = false): void {
    const client = this._client;
    switch (m.type) {
      case "snapshot":
      case "resync": {
        // While this was under way another session, which this one takes the place of, may have begun or gone on: what it told would be told
        // once more, or skipped.
        const asked = this._living(m.id), was = this._with.get(m.id), cursor = asked?._cursor;
        if (was && cursor && cursor !== was.cursor && (!was.cursor || after(cursor, m.cursor))) {
          if (this._link) asked._again();
          break;
        }
        const feed = this._link && this._bind(m.id, m.query);
        if (!feed) break;
        client._answer(m.id);
        feed._cursor = m.cursor;
        feed._tag = m.tag;
        feed._start(m);
        feed._answered();
        feed._moved();
        break;
      }
      case "resumed": {
        // What another session, which this one takes the place of, said meanwhile may have pushed out rows of which nothing more is said here.
        const asked = this._living(m.id);
        if (asked && asked._window?._bound !== this._with.get(m.id)?.bound) {
          asked._again();
          break;
        }
        const feed = this._bind(m.id, m.query);
        if (!feed) break;
        client._answer(m.id);
        feed._answered();
        feed._resumed();
        break;
      }
      case "change":
      case "message":
      case "count":
      case "cursor":
        for (const [query, ids] of this._queries) {
          if (m.type !== "cursor" && query !== m.query) continue;
          for (const id of ids) {
            const feed = this._living(id);
            // What was fetched, the fill of a window or a count, is how things are at its cursor: an equal one is news too.
            const fetched = m.type === "count" || (m.type === "change" && "more" in m);
            if (!feed || (fetched ? after(feed._cursor || "", m.cursor) : !after(m.cursor, feed._cursor))) continue;
            feed._cursor = m.cursor;
            if (m.type !== "cursor") feed._data(m);
            feed._moved();
          }
        }
        break;
      case "result":
        client._answer(m.id);
        client._calls._result(m, call => ordered && this._has(call._feed));
        break;
      case "closed":
      case "error": {
        const feed = this._living(m.id!);
        if (feed) {
          this._asked.delete(m.id!);
          if (this._link) feed._refused(m.problem);
        } else if (m.type === "error") {
          client._calls._error(m.id, m.problem);
        }
        break;
      }
      case "reconnect":
        if (this._link) client._connection._reconnect(this._link, m.after, m.problem);
        break;
      case "status":
        // What carries calls may have come to another server.
        if (this._link) client._status._set({ degraded: m.degraded });
        break;
      case "pong":
        client._answer(m.id);
    }
  }
}
