// A channel: a stream of messages that belong to no row.

import { guard, quiet } from "./error.ts";
import { Feed } from "./feed.ts";
import type { Channel, Stop } from "./types.ts";
import type { DataMessage, SnapshotMessage, SubscribeMessage } from "./wire.ts";

/** What is told, and the cursor that it stands at. */
type Heard<V> = (value: V, cursor: string) => void;

export class ChannelFeed<M> extends Feed implements Channel<M> {
  protected override _keep = 0;
  private _listeners = new Set<Heard<M>>();
  private _resyncs = new Set<Heard<string>>();
  private _news: (() => void)[] = [];

  on(f: Heard<M>): Stop {
    return this._listen(this._listeners, f);
  }

  onResync(f: Heard<string>): Stop {
    return this._listen(this._resyncs, f);
  }

  publish(message: M): Promise<void> {
    return quiet(new Promise<void>((resolve, reject) => {
      const client = this._client;
      client._calls._add({
        _message: { type: "publish", id: client._nextID(), channel: this._of, data: message },
        _done: () => resolve(),
        _fail: reject,
        // A message said twice is worse than one that the application knows it may have to repeat.
        _lost: reject,
      });
    }));
  }

  override _subscribe(): SubscribeMessage {
    return { type: "subscribe", id: this._id, channel: this._of, ...(this._cursor && { cursor: this._cursor }) };
  }

  override _start(m: SnapshotMessage): void {
    if (m.type === "resync") this._tell(this._resyncs, m.reason || "", m.cursor);
  }

  override _data(m: DataMessage): void {
    if (m.type === "message") for (const message of m.messages) this._tell(this._listeners, message as M, m.cursor);
  }

  /** Who comes later hears from then on: a channel has no state to catch up with. */
  override _forget(): void {
    this._cursor = undefined;
  }

  override _notify(): void {
    for (const news of this._news.splice(0)) news();
  }

  private _tell<V>(all: Set<Heard<V>>, value: V, cursor: string): void {
    this._news.push(() => [...all].forEach(f => guard(f, value, cursor)));
    this._dirty();
  }
}
