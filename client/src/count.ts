// A count: how many rows there are, and nothing else of them.

import type { Client } from "./client.ts";
import { guard } from "./error.ts";
import { Feed } from "./feed.ts";
import type { Count, FeedStatus, Stop, Where } from "./types.ts";
import type { DataMessage, SnapshotMessage, SubscribeMessage } from "./wire.ts";

export class CountFeed extends Feed implements Count {
  value: number | undefined;
  private _router: string;
  private _where: Where | undefined;
  private _listeners = new Set<() => void>();

  constructor(client: Client, name: string, router: string, where: Where | undefined) {
    super(client, name);
    this._keep = 60_000;
    this._router = router;
    this._where = where;
  }

  subscribe(f: (value: number | undefined, status: FeedStatus) => void): Stop {
    let value: number | undefined, status: FeedStatus | undefined;
    const tell = () => {
      if (value !== this.value || status !== this.status) guard(f, (value = this.value), (status = this.status));
    };
    const off = this._listen(this._listeners, tell);
    tell();
    return off;
  }

  override _subscribe(): SubscribeMessage {
    return { type: "subscribe", id: this._id, router: this._router, where: this._where, count: true, cursor: this._cursor, tag: this._tag };
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

  override _notify(): void {
    for (const f of [...this._listeners]) f();
  }

  private _set(value: number | undefined): void {
    this.value = value;
    this._dirty();
  }
}
