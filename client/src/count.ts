// A count: how many rows there are, and nothing else of them.

import { Feed } from "./feed.ts";
import type { Count, FeedStatus, Stop } from "./types.ts";
import type { DataMessage, SnapshotMessage, SubscribeMessage } from "./wire.ts";

export class CountFeed extends Feed implements Count {
  value: number | undefined;

  subscribe(f: (value: number | undefined, status: FeedStatus) => void): Stop {
    return this._follow(f, () => [this.value, this.status]);
  }

  override _subscribe(): SubscribeMessage {
    return { type: "subscribe", id: this._id, router: this._of, count: true, ...this._more?.(), cursor: this._cursor, tag: this._tag };
  }

  override _start(m: SnapshotMessage): void {
    this._set(m.count);
  }

  override _data(m: DataMessage): void {
    if (m.type === "count") this._set(m.count);
  }

  override _forget(): void {
    this._cursor = this._tag = undefined;
    this._set(undefined);
  }

  private _set(value: number | undefined): void {
    this.value = value;
    this._dirty();
  }
}
