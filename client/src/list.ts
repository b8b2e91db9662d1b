// A list: a set of rows that follows the server, with the application's own writes laid over it.

import type { Client } from "./client.ts";
import { LiveError, closed, guard, quiet, soon } from "./error.ts";
import { Feed, LOADING } from "./feed.ts";
import type { More } from "./hook.ts";
import { comparator } from "./order.ts";
import { Related } from "./related.ts";
import { Rows, fromWire, isPending, keyOf, rowsOf, versionOf } from "./rows.ts";
import type { BulkUpdate, Change, FeedStatus, Key, List, LiveErrorLike, Problem, Stop, Where } from "./types.ts";
import type { DataMessage, ResultMessage, SnapshotMessage, SubscribeMessage, Version } from "./wire.ts";
import { Window } from "./window.ts";
import { Writes } from "./writes.ts";

/** Options as they are on the wire. */
export type ListSpec = { where?: Where; order?: string; limit?: number; include?: readonly string[] };

export class ListFeed<T extends object> extends Feed implements List<T> {
  _base: Rows;
  _related: Related | undefined;
  private _options: ListSpec;
  override _window: Window;
  /** Nothing was shown yet, for all of it waits for what it relates to. */
  private _hidden = false;
  private _writes = new Writes(this);
  private _rows: readonly T[] = Object.freeze([]);
  private _stale = false;
  private _watchers = new Set<(change: Change<T>) => void>();
  private _errors = new Set<(e: LiveErrorLike) => void>();
  private _changes: Change<T>[] = [];
  /** Who waits for more rows; and the limit from which the window is growing, as long as the server may refuse that. */
  private _growing: { _resolve(): void; _reject(e: LiveErrorLike): void }[] = [];
  private _from: number | undefined;

  constructor(client: Client, name: string, router: string, more: More | undefined, options: ListSpec) {
    super(client, name, router, more);
    this._options = options;
    this._window = new Window(options.limit);
    this._base = new Rows([], options.order ? comparator(options.order) : undefined);
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
      let rows = this._writes._overlay(this._base._first(this._window._limit), this._base._compare);
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

  subscribe(f: (rows: readonly T[], status: FeedStatus) => void): Stop {
    return this._follow(f, () => [this.rows, this.status, this.hasMore]);
  }

  on(event: "change" | "error", f: (e: any) => void): Stop {
    // Only who wants to hear changes needs the subscription.
    return event === "change" ? this._listen(this._watchers, f) : this._listen(this._errors, f, () => {});
  }

  more(n = this._options.limit ?? this._window._limit!): Promise<void> {
    const w = this._window, id = this._id;
    if (!w._limit) return Promise.resolve();
    this._from ??= w._limit;
    w._limit += n;
    const off = this._hold();
    if (id) this._again();
    this._changed();
    return quiet(new Promise<void>((_resolve, _reject) => this._growing.push({ _resolve, _reject })).finally(off));
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
    return this._client._ask({ router: this._of, verb: "get", key: this._writes._real(String(key)) }, m => (m.row && fromWire(m.row).fields) as T);
  }

  fetch(): Promise<readonly T[]> {
    return this._client._ask({ router: this._of, verb: "list", ...this._options }, m => this._fetched(m));
  }

  key(row: T): string | undefined {
    const key = keyOf(row);
    return key && this._writes._real(key);
  }

  version(row: T): Version {
    return versionOf(row);
  }

  pending(row: T): boolean {
    return isPending(row);
  }

  /** For presence.js: says the subscribe message once more. */
  again(): void {
    if (this._id) this._again();
  }

  override _subscribe(): SubscribeMessage {
    const { _id, _of, _cursor, _tag, _window } = this;
    return { type: "subscribe", id: _id, router: _of, ...this._options, limit: _window._limit, ...this._more?.(), ...(_cursor && { cursor: _cursor, tag: _tag, bound: _window._bound }) };
  }

  override _start(m: SnapshotMessage): void {
    this._base = new Rows((m.rows || []).map(fromWire), m.order ? comparator((this._window._order = m.order)) : this._base._compare);
    this._window._limit = m.limit ?? this._window._limit;
    this._window._fit(this._base, !!m.more);
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
        const { op, key, mutation, by } = c, row = this._base._all.get(key)?.fields;
        this._changes.push({ op, key, ...(row && { row }), cursor: m.cursor, ...(mutation && { mutation }), ...(by !== undefined && { by }) } as Change<T>);
      }
      this._writes._echo(c);
    }
    const named = m.whole && new Set(m.changes.map(c => c.fields && c.key));
    for (const { key } of this._window._fit(this._base, m.more, named)) this._changes.push({ op: "leave", key, cursor: m.cursor });
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
    this._base = new Rows([], this._base._compare);
    this._changed();
  }

  override _notify(): void {
    for (const change of this._changes.splice(0)) {
      for (const f of [...this._watchers]) guard(f, change);
    }
    super._notify();
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

  private _named(key: Key, version?: number) {
    const name = String(key);
    return { key: this._writes._real(name), version: version ?? this._writes._held(name) };
  }

  /** Several rows, all or none of them: shown when they come back. */
  private _bulk(verb: string, data: readonly object[]): Promise<readonly T[] | undefined> {
    return this._client._ask({ router: this._of, verb, data }, m => (verb === "delete" ? undefined : rowsOf<T>(m)), this);
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
}
