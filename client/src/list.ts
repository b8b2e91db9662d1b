// A list: a set of rows that follows the server, with the application's own writes laid over it.

import type { Client } from "./client.ts";
import { closed, guard, quiet, soon } from "./error.ts";
import { Feed } from "./feed.ts";
import { comparator } from "./order.ts";
import { Rows, fromWire, isPending, keyOf, type Row } from "./rows.ts";
import type { Change, FeedStatus, Key, List, ListOptions, LiveErrorLike, Stop } from "./types.ts";
import type { ClientMessage, DataMessage, ResultMessage, SnapshotMessage } from "./wire.ts";
import { Writes } from "./writes.ts";

type Listener<T> = { _f: (rows: readonly T[], status: FeedStatus) => void; _rows?: readonly T[]; _status?: FeedStatus };

export class ListFeed<T extends object> extends Feed implements List<T> {
  _router: string;
  _base = new Rows();
  private _options: ListOptions;
  private _compare: ((a: Row, b: Row) => number) | undefined;
  private _writes = new Writes(this);
  private _rows: readonly T[] = Object.freeze([]);
  private _stale = false;
  private _listeners = new Set<Listener<T>>();
  private _watchers = new Set<(change: Change<T>) => void>();
  private _errors = new Set<(e: LiveErrorLike) => void>();
  private _changes: Change<T>[] = [];

  constructor(client: Client, name: string, router: string, options: ListOptions) {
    super(client, name);
    this._keep = 60_000;
    this._router = router;
    this._options = options;
    this._compare = options.order ? comparator(options.order) : undefined;
  }

  get rows(): readonly T[] {
    if (this._stale) {
      this._stale = false;
      const rows = [...this._writes._overlay(this._base._all).values()];
      if (this._compare) rows.sort(this._compare);
      // The same array as long as it would hold the same rows: whoever compares by identity has nothing to do.
      if (rows.length !== this._rows.length || rows.some((r, i) => r.fields !== this._rows[i])) {
        this._rows = Object.freeze(rows.map(r => r.fields as T));
      }
    }
    return this._rows;
  }

  get ready(): Promise<readonly T[]> {
    return quiet(new Promise<readonly T[]>((resolve, reject) => {
      const off = this.subscribe((rows, { state, error }) => {
        if (state === "loading") return;
        if (state === "live") resolve(rows);
        else reject(error ?? closed());
        soon(() => off());
      });
    }));
  }

  subscribe(f: Listener<T>["_f"]): Stop {
    const release = this._hold();
    const listener: Listener<T> = { _f: f };
    this._listeners.add(listener);
    this._tell(listener);
    return () => {
      this._listeners.delete(listener);
      release();
    };
  }

  on(event: "change" | "error", f: (e: any) => void): Stop {
    // Only who wants to hear changes needs the subscription.
    return event === "change" ? this._listen(this._watchers, f) : this._listen(this._errors, f, () => {});
  }

  create(data: Partial<T>): Promise<T | undefined> {
    return this._writes._add("create", undefined, data as never) as Promise<T | undefined>;
  }

  update(key: Key, data: Partial<T>, options?: { version?: number }): Promise<T | undefined> {
    return this._writes._add("update", String(key), data as never, options?.version) as Promise<T | undefined>;
  }

  delete(key: Key, options?: { version?: number }): Promise<void> {
    return this._writes._add("delete", String(key), {}, options?.version) as Promise<any>;
  }

  get(key: Key): Promise<T> {
    return this._read({ verb: "get", key: this._writes._real(String(key)) }, m => (m.row && fromWire(m.row).fields) as T);
  }

  fetch(): Promise<readonly T[]> {
    return this._read({ verb: "list", ...this._options }, m => Object.freeze((m.rows || []).map(r => fromWire(r).fields as T)));
  }

  key(row: T): string | undefined {
    const key = keyOf(row);
    return key && this._writes._real(key);
  }

  pending(row: T): boolean {
    return isPending(row);
  }

  override _subscribe(): ClientMessage {
    return { type: "subscribe", id: this._id, router: this._router, ...this._options, ...(this._cursor && { cursor: this._cursor }) };
  }

  override _start(m: SnapshotMessage): void {
    this._base._replace(m.rows);
    this._changes.push({
      op: m.type,
      ...(m.reason && { reason: m.reason }),
      rows: [...this._base._all.values()].map(r => r.fields as T),
      cursor: m.cursor,
    } as Change<T>);
    this._writes._alive(false);
    this._changed();
  }

  override _data(m: DataMessage): void {
    if (m.type !== "change") return;
    for (const c of m.changes) {
      if (this._base._apply(c)) {
        const { op, key, mutation } = c;
        const change = { op, key, cursor: m.cursor, ...(mutation && { mutation }) };
        const row = this._base._all.get(key)?.fields;
        this._changes.push((row ? { ...change, row } : change) as Change<T>);
      }
      this._writes._echo(c);
    }
    this._changed();
  }

  override _moved(): void {
    this._writes._moved();
  }

  override _resumed(): void {
    this._writes._alive(true);
  }

  override _forget(): void {
    this._cursor = undefined;
    this._base._replace();
    this._changed();
  }

  override _notify(): void {
    for (const change of this._changes.splice(0)) {
      for (const f of [...this._watchers]) guard(f, change);
    }
    for (const listener of [...this._listeners]) this._tell(listener);
  }

  /** The rows may look different now. */
  _changed(): void {
    this._stale = true;
    this._dirty();
  }

  _failed(e: LiveErrorLike): void {
    for (const f of [...this._errors]) guard(f, e);
  }

  private _read<R>(message: object, of: (m: ResultMessage) => R): Promise<R> {
    return quiet(new Promise<R>((resolve, reject) => {
      this._client._call({ router: this._router, ...message }, { _done: m => resolve(of(m)), _fail: reject });
    }));
  }

  private _tell(listener: Listener<T>): void {
    const { rows, _status } = this;
    if (listener._rows === rows && listener._status === _status) return;
    listener._rows = rows;
    listener._status = _status;
    if (this._listeners.has(listener)) guard(listener._f, rows, _status);
  }
}
