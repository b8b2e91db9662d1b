// Calls and publishes: the outbox of what waits for a connection, and what was sent and waits for its answer.

import type { Client } from "./client.ts";
import type { Link } from "./connection.ts";
import { LiveError, asError, closed, unknown } from "./error.ts";
import type { Feed } from "./feed.ts";
import { NDJSON } from "./http.ts";
import { Session } from "./session.ts";
import type { Problem } from "./types.ts";
import { parse, together, type ClientMessage, type ResultMessage } from "./wire.ts";

export interface Call {
  _message: ClientMessage & { mutation?: string; retry?: string };
  /** Ordered: the changes that the call caused on its feed came before. */
  _done(m: ResultMessage, ordered: boolean): void;
  _fail(e: LiveError): void;
  /** Sent, and the answer will never come. Without this the call is harmless and is sent again. */
  _lost?(e: LiveError): void;
  /** A write whose answer is lost and that is sent again, for the server remembers its mutation. */
  _missed?(): void;
  /** Whether the answer is of no use any more. */
  _over?(): boolean;
  /** The cursor that was known when the write was sent first: should it have happened, then after this. */
  _retry?: string | undefined;
  /** When it was refused for the first time because the server has no time for it. */
  _since?: number;
  /** The feed that is to hear the echo. */
  _feed?: Feed;
  /** The socket that it was sent over. */
  _link?: Link | false | undefined;
}

/** How long the answer of a POST may take, and how long a call that the server has no time for is tried. */
const enum Ms { PATIENCE = 30_000, MINUTE = 60_000 }

export class Calls {
  private _client: Client;
  private _queue: Call[] = [];
  private _sent = new Map<number, Call>();
  /** The POST that is under way. One at a time, for the server has to see the calls in the order in which they were made. */
  private _post: AbortController | undefined;
  /** After a POST that failed, the timer of the next, and how many failed in a row. */
  private _rest: unknown;
  private _failures = 0;
  /** Until then the server has no time for calls, over whatever connection. */
  private _until = 0;

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
    this._queue = this._queue.filter(c => !c._over?.());
    if (!link || this._post || this._rest || !this._queue.length) return;
    const batch = this._queue.splice(0, link._send ? Infinity : together(this._queue.map(c => c._message)));
    for (const call of batch) {
      call._link = link._send && link;
      if (call._message.mutation) call._retry ??= call._feed?._cursor ?? this._client._newest();
      this._sent.set(call._message.id, call);
    }
    const messages = batch.map(c => c._message);
    if (link._send) link._send(messages);
    else void this._round(batch, messages);
  }

  /**
   * Over a stream or poll calls travel in a POST of their own, together with the lists that they write to. Windows do not come along:
   * what two sessions say of one window does not fit together.
   */
  private async _round(batch: Call[], messages: ClientMessage[]): Promise<void> {
    const client = this._client;
    const abort = (this._post = new AbortController());
    const timer = client._after(0, Ms.PATIENCE, () => abort.abort());
    const session = new Session(client);
    const feeds = new Set(batch.map(c => c._feed).filter(f => f && f._id && f._cursor && !f._window?._limit) as Feed[]);
    let error = unknown();
    try {
      client._asking(messages[0]!.id);
      const response = await client._http._post([...[...feeds].map(f => session._add(f)), ...messages], NDJSON, abort.signal);
      for (const m of parse(await response.text())) session._receive(m);
    } catch (e) {
      error = asError(e);
    }
    client._env.clearTimeout(timer);
    this._post = undefined;
    // Only an answer of the server itself says that nothing was done: a refusal, or trouble in the words of the protocol.
    const refused = error.status && (error.status < 500 || error.code !== "http");
    const missed = batch.filter(c => this._take(c._message.id));
    if (!missed.length || refused) this._failures = 0;
    else this._rest = client._after(0, client._backoff(++this._failures, error), () => this._opened());
    if (refused) for (const call of missed) this._refuse(call, error);
    else this._miss(missed, error);
    this._flush();
  }

  /** There is a connection, or it is time to try the one there is again. */
  _opened(): void {
    if (this._until) return;
    this._client._env.clearTimeout(this._rest);
    this._rest = undefined;
    this._flush();
  }

  _result(m: ResultMessage, ordered: (call: Call) => boolean): void {
    const call = this._take(m.id);
    call?._done(m, ordered(call));
  }

  _error(id: number | undefined, problem: Problem): void {
    const call = this._take(id);
    const error = new LiveError(problem);
    if (call) this._refuse(call, error);
    else this._client._status._set({ error });
  }

  /** Whether the link owes an answer. */
  _owed(link: Link): boolean {
    return [...this._sent.values()].some(call => call._link === link);
  }

  /** The link is gone, and with it the answers to what it carried. */
  _broken(link: Link): void {
    this._miss([...this._sent.values()].filter(c => c._link === link && this._take(c._message.id)), unknown());
    this._flush();
  }

  _close(): void {
    this._post?.abort();
    this._client._env.clearTimeout(this._rest);
    const all = [...this._sent.values(), ...this._queue.splice(0)];
    this._sent.clear();
    for (const call of all) call._fail(closed());
  }

  private _refuse(call: Call, error: LiveError): void {
    const client = this._client, now = client._env.now(), busy = error._wait >= 0;
    const tried = now - (call._since ??= now), ms = client._backoff(1 + tried / 4000, error);
    if (busy && tried + ms < Ms.MINUTE) {
      // Nothing was done. All calls wait, so that none overtakes it.
      this._queue.push(call);
      this._queue.sort((a, b) => a._message.id - b._message.id);
      if (now + ms < this._until) return;
      this._until = now + ms;
      this._rest = client._after(this._rest, ms, () => {
        this._until = 0;
        this._opened();
      });
    } else {
      // Trouble of the server that a repetition runs into says nothing of the first time.
      call._fail(call._message.retry && (busy || error.status >= 500) ? new LiveError({ code: "unknown_outcome" }) : error);
    }
  }

  /** The answers to these calls will not come: reads, and writes that can be known again, are asked anew before anything later is. */
  private _miss(calls: Call[], error: LiveError): void {
    if (this._client._closed) return calls.forEach(c => c._fail(closed()));
    const again = calls.filter(c => c._retry || !c._lost);
    this._queue.unshift(...again);
    for (const call of calls) {
      if (!again.includes(call)) call._lost!(error);
      else if ((call._message.retry = call._retry)) call._missed?.();
    }
  }

  private _take(id: number | undefined): Call | undefined {
    const call = this._sent.get(id!);
    this._sent.delete(id!);
    return call;
  }
}
