// A list: a set of rows that follows the server, with the application's own writes laid over it.

import type { Client } from "./client.ts";
import { LiveError, closed, guard, quiet, soon } from "./error.ts";
import { Feed, LOADING } from "./feed.ts";
import { comparator } from "./order.ts";
import { Related } from "./related.ts";
import { Rows, fromWire, isPending, keyOf, rowsOf, type Row } from "./rows.ts";
import type { BulkUpdate, Change, FeedStatus, Key, List, LiveErrorLike, Problem, Stop, Where } from "./types.ts";
import type { DataMessage, ResultMessage, SnapshotMessage, SubscribeMessage } from "./wire.ts";
import { Window } from "./window.ts";
import { Writes } from "./writes.ts";

type Listener<T> = { _f: (rows: readonly T[], status: FeedStatus) => void; _rows?: readonly T[]; _status?: FeedStatus; _more?: boolean };

/** Options as they are on the wire. */
export type ListSpec = { where?: Where; order?: string; limit?: number; include?: readonly string[] };

export class ListFeed<T extends object> extends Feed implements List<T> {
  _router: string;
  _base = new Rows();
  _related: Related | undefined;
  private _options: ListSpec;
  override _window: Window;
  /** Nothing was shown yet, for all of it waits for what it relates to. */
  private _hidden = false;
  private _compare: ((a: Row, b: Row) => number) | undefined;
  private _writes = new Writes(this);
  private _rows: readonly T[] = Object.freeze([]);
  private _stale = false;
  private _listeners = new Set<Listener<T>>();
  private _watchers = new Set<(change: Change<T>) => void>();
  private _errors = new Set<(e: LiveErrorLike) => void>();
  private _changes: Change<T>[] = [];
  /** Who waits for more rows; and the limit from which the window is growing, as long as the server may refuse that. */
  private _growing: { _resolve(): void; _reject(e: LiveErrorLike): void }[] = [];
  private _from: number | undefined;

  constructor(client: Client, name: string, router: string, options: ListSpec) {
    super(client, name);
    this._keep = 60_000;
    this._router = router;
    this._options = options;
    this._window = new Window(options.limit);
    this._compare = options.order ? comparator(options.order) : undefined;
  }

  override get status(): FeedStatus {
    return this._hidden && this._status.state === "live" ? LOADING : this._status;
  }

  get hasMore(): boolean {
    return this._window._more || this._base._all.size > this._window._limit!;
  }

  get rows(): readonly T[] {
    if (this._stale) {
      this._stale = false;
      let rows = [...this._writes._overlay(this._window._first(this._base, this._compare)).values()];
      if (this._compare) rows.sort(this._compare);
      if (this._related) {
        rows = this._related._join(rows, !!this._id);
        this._hidden &&= this._related._waiting;
        if (this._hidden) return this._rows;
      }
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

  more(n = this._options.limit ?? this._window._limit!): Promise<void> {
    return quiet(new Promise((resolve, reject) => {
      const w = this._window, id = this._id;
      if (!w._limit) return resolve();
      this._from ??= w._limit;
      w._limit += n;
      const off = this._hold();
      const end = <A extends unknown[]>(f: (...args: A) => void) => (...args: A) => (off(), f(...args));
      this._growing.push({ _resolve: end(resolve), _reject: end(reject) });
      if (id) this._again();
      this._changed();
    }));
  }

  create(data: any): Promise<any> {
    if (data instanceof Array) return this._bulk("create", data);
    return this._writes._add("create", undefined, data);
  }

  update(key: Key | readonly BulkUpdate<any>[], data?: any, options?: { version?: number }): Promise<any> {
    if (key instanceof Array) return this._bulk("update", key.map(u => ({ ...this._named(u.key, u.version), data: u.data })));
    return this._writes._add("update", String(key), data, options?.version);
  }

  delete(key: Key | readonly Key[], options?: { version?: number }): Promise<any> {
    if (key instanceof Array) return this._bulk("delete", key.map(k => this._named(k)));
    return this._writes._add("delete", String(key), {}, options?.version);
  }

  get(key: Key): Promise<T> {
    return this._client._ask({ router: this._router, verb: "get", key: this._writes._real(String(key)) }, m => (m.row && fromWire(m.row).fields) as T);
  }

  fetch(): Promise<readonly T[]> {
    return this._client._ask({ router: this._router, verb: "list", ...this._options }, m => this._fetched(m));
  }

  key(row: T): string | undefined {
    const key = keyOf(row);
    return key && this._writes._real(key);
  }

  pending(row: T): boolean {
    return isPending(row);
  }

  override _subscribe(): SubscribeMessage {
    const { _id, _router, _cursor, _tag, _window } = this;
    return { type: "subscribe", id: _id, router: _router, ...this._options, limit: _window._limit, ...(_cursor && { cursor: _cursor, tag: _tag, bound: _window._bound }) };
  }

  override _start(m: SnapshotMessage): void {
    this._base._replace(m.rows);
    if (m.order) this._compare = comparator((this._window._order = m.order));
    this._window._limit = m.limit ?? this._window._limit;
    this._fit(m, true);
    if (m.relations) {
      this._hidden ||= !this._related;
      // What is shown stays with it, so it goes on as long as the relations are the same.
      const name = JSON.stringify([m.relations, m.order]);
      if (this._related?._name !== name) {
        this._related?._release();
        this._related = new Related(this._client, m.relations, m.order, () => this._changed(), name);
      }
    }
    this._from = undefined;
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
    for (const { key } of this._fit(m)) this._changes.push({ op: "leave", key, cursor: m.cursor });
    this._changed();
  }

  override _moved(): void {
    this._writes._moved();
    if (!this._id) this._related?._release();
  }

  override _resumed(): void {
    this._from = undefined;
    this._writes._alive(true);
    this._changed();
  }

  override _refused(problem: Problem): void {
    if (this._from && (problem.code === "limit_too_large" || problem.errors?.["limit"])) {
      // There is no window as large as that, but there was one as it was before.
      this._window._limit = this._from;
      this._from = undefined;
      this._grown(new LiveError(problem));
      this._again();
      this._changed();
    } else {
      super._refused(problem);
    }
  }

  override _forget(): void {
    this._cursor = this._tag = this._related = undefined;
    this._hidden = false;
    this._window = new Window(this._options.limit);
    this._base._replace();
    this._changed();
  }

  override _notify(): void {
    for (const change of this._changes.splice(0)) {
      for (const f of [...this._watchers]) guard(f, change);
    }
    for (const listener of [...this._listeners]) this._tell(listener);
    // Not before the rows were put together is it known whether they wait.
    const { state, error } = (this.rows, this.status);
    if (state === "closed") this._grown(error ?? closed());
    else if (state === "live" && !this._related?._waiting && (this._window._filled(this._base) || !(this._from || this._window._more))) this._grown();
  }

  /** The rows may look different now. */
  _changed(): void {
    this._stale = true;
    this._dirty();
  }

  _failed(e: LiveErrorLike): void {
    for (const f of [...this._errors]) guard(f, e);
  }

  private _grown(error?: LiveErrorLike): void {
    for (const { _resolve, _reject } of this._growing.splice(0)) error ? _reject(error) : _resolve();
  }

  private _fit(m: { more?: boolean }, trim?: boolean): Row[] {
    return this._compare ? this._window._fit(this._base, this._compare, m.more, trim) : [];
  }

  private _named(key: Key, version?: number) {
    const name = String(key);
    return { key: this._writes._real(name), version: version ?? this._writes._held(name) };
  }

  /** Several rows, all or none of them: shown when they come back. */
  private _bulk(verb: string, data: readonly object[]): Promise<readonly T[] | undefined> {
    return this._client._ask({ router: this._router, verb, data }, m => (verb === "delete" ? undefined : rowsOf<T>(m)), this);
  }

  private _fetched(m: ResultMessage): readonly T[] | Promise<readonly T[]> {
    if (!m.relations) return rowsOf(m);
    return new Promise(resolve => {
      const rows = m.rows!.map(fromWire);
      let over = false;
      const look = () => soon(() => {
        const all = over ? [] : related._join(rows);
        if (over || related._waiting) return;
        over = true;
        related._release();
        resolve(Object.freeze(all.map(r => r.fields as T)));
      });
      const related = new Related(this._client, m.relations!, m.order, look);
      look();
    });
  }

  private _tell(listener: Listener<T>): void {
    const { rows, status, hasMore } = this;
    if (listener._rows === rows && listener._status === status && listener._more === hasMore) return;
    listener._rows = rows;
    listener._status = status;
    listener._more = hasMore;
    if (this._listeners.has(listener)) guard(listener._f, rows, status);
  }
}
