// Calls and publishes: the outbox of what waits for a connection, and what was sent and waits for its answer.

import type { Client } from "./client.ts";
import type { Link } from "./connection.ts";
import { LiveError, asError, closed, unknown } from "./error.ts";
import type { Feed } from "./feed.ts";
import { NDJSON } from "./http.ts";
import { Session } from "./session.ts";
import type { Problem } from "./types.ts";
import { parse, type ClientMessage, type ResultMessage } from "./wire.ts";

export interface Call {
  _message: ClientMessage;
  /** Ordered: the changes that the call caused on its feed came before. */
  _done(m: ResultMessage, ordered: boolean): void;
  _fail(e: LiveError): void;
  /** Sent, and the answer will never come. Without this the call is harmless and is sent again. */
  _lost?(e: LiveError): void;
  /** The feed that is to hear the echo. */
  _feed?: Feed;
  /** The socket that it was sent over. */
  _link?: Link | false | undefined;
}

/** How many calls go into one POST at most, and how long its answer may take. */
const BATCH = 50, PATIENCE = 30_000;

export class Calls {
  private _client: Client;
  private _queue: Call[] = [];
  private _sent = new Map<number, Call>();
  /** The POST that is under way. One at a time, for the server has to see the calls in the order in which they were made. */
  private _post: AbortController | undefined;

  constructor(client: Client) {
    this._client = client;
  }

  /** Sends the call now or when there is a connection. */
  _add(call: Call): void {
    if (this._client._closed) return call._fail(closed());
    this._queue.push(call);
    this._flush();
  }

  _flush(): void {
    const link = this._client._connection._link;
    if (!link || this._post || !this._queue.length) return;
    const batch = this._queue.splice(0, link._send ? Infinity : BATCH);
    for (const call of batch) {
      call._link = link._send && link;
      this._sent.set(call._message.id, call);
    }
    const messages = batch.map(c => c._message);
    if (link._send) link._send(messages);
    else void this._round(batch, messages);
  }

  /** Over a stream or poll calls travel in a POST of their own, together with the lists that they write to. */
  private async _round(batch: Call[], messages: ClientMessage[]): Promise<void> {
    const client = this._client;
    const abort = (this._post = new AbortController());
    const timer = client._after(0, PATIENCE, () => abort.abort());
    const session = new Session(client, true);
    const feeds = new Set(batch.map(c => c._feed).filter(f => f && f._id && f._cursor) as Feed[]);
    let error = unknown();
    try {
      client._asking(messages[0]!.id);
      const response = await client._http._post([...feeds].map(f => session._add(f)).concat(messages), NDJSON, abort.signal);
      for (const m of parse(await response.text())) session._receive(m);
    } catch (e) {
      error = asError(e);
    }
    client._env.clearTimeout(timer);
    this._post = undefined;
    // Only an answer of the server itself says that nothing was done: a refusal, or trouble in the words of the protocol.
    const refused = error.status && (error.status < 500 || error.code !== "http");
    for (const { _message } of batch) {
      const call = this._take(_message.id);
      if (call) refused ? call._fail(error) : this._miss(call, error);
    }
    this._flush();
  }

  _result(m: ResultMessage, ordered: (call: Call) => boolean): void {
    const call = this._take(m.id);
    call?._done(m, ordered(call));
  }

  _error(id: number | undefined, problem: Problem): void {
    const call = this._take(id);
    const error = new LiveError(problem);
    if (call) call._fail(error);
    else this._client._status._set({ error });
  }

  /** Whether the link owes an answer. */
  _owed(link: Link): boolean {
    return [...this._sent.values()].some(call => call._link === link);
  }

  /** The link is gone, and with it the answers to what it carried. */
  _broken(link: Link): void {
    for (const [id, call] of [...this._sent]) {
      if (call._link === link && this._take(id)) this._miss(call, unknown());
    }
    this._flush();
  }

  _close(): void {
    this._post?.abort();
    const all = [...this._sent.values(), ...this._queue.splice(0)];
    this._sent.clear();
    for (const call of all) call._fail(closed());
  }

  private _miss(call: Call, error: LiveError): void {
    if (this._client._closed) call._fail(closed());
    else if (call._lost) call._lost(error);
    else this._queue.push(call);
  }

  private _take(id: number | undefined): Call | undefined {
    const call = this._sent.get(id!);
    this._sent.delete(id!);
    return call;
  }
}
