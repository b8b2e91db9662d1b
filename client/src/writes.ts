// Optimistic writes of one list: what the application did and the rows do not say yet.
//
// A write is shown from the moment it is made. It stops being shown when the rows themselves tell what became of it:
//   - its echo arrives, the change that carries its mutation;
//   - its result arrived and the list's cursor is not before the result's, whether or not there was an echo (a row that does
//     not match the list's where has none). Until then the row of the result is shown in place of the guess;
//   - its result says that the change is not on the log yet: then its echo, or new rows, or some time with the log at hand;
//   - it is refused: then it is rolled back, in a conflict to the row as it is now.
// Writes to one row are sent one after another, each with the version that the one before left. A write that was sent and whose answer
// was lost with the connection is sent again, for the server knows its mutation and does not do it twice. Where the server cannot know
// any more, or no cursor was known, from which on it could look, it may have happened: the list waits a little for the echo. If none
// comes it is rolled back and rejected with "connection_lost"; should it have happened after all, its change comes like anybody's.

import { after, older } from "./cursor.ts";
import { LiveError, quiet, unknown } from "./error.ts";
import type { ListFeed } from "./list.ts";
import { Rows, fromWire, makeRow, type Compare, type Row } from "./rows.ts";
import type { Fields, ResultMessage, Version, WireChange } from "./wire.ts";

/** How long a list that lives again waits for the echo of a write whose answer was lost; and any for that of one whose change is not on the log yet. */
const enum Ms { ECHO = 5000, LATE = 15_000 }

interface Write {
  _verb: "create" | "update" | "delete";
  /** As the application knows it: that of a row just created is replaced by the server's. */
  _key: string;
  _data: Fields;
  _version: number | undefined;
  _mutation: string;
  /** "again": the answer was lost, and it is sent once more; "lost": nobody can know. */
  _state: "waiting" | "sent" | "again" | "lost" | "answered";
  _echoed: boolean;
  /** Since it was sent the row came, went or was told anew: it may be another one, whose versions begin anew. */
  _anew?: boolean;
  /** The guess, and the row on which it was made: the same guess as long as that is the same. */
  _guess?: Row;
  _over?: Row;
  /** What the result said. */
  _row?: Row | undefined;
  _cursor?: string | undefined;
  _unsent?: true | undefined;
  _resolve(row: Fields | undefined): void;
  _reject(e: LiveError): void;
}

const numeric = (v: Version) => (typeof v === "number" ? v : undefined);

export class Writes {
  private _list: ListFeed<any>;
  private _all: Write[] = [];
  /** The server's keys of rows that were created here, by the key under which they were shown at first. */
  private _keys = new Map<string, string>();
  private _timer: unknown;

  constructor(list: ListFeed<any>) {
    this._list = list;
  }

  _real(key: string): string {
    return this._keys.get(key) ?? key;
  }

  _add(verb: Write["_verb"], key: string | undefined, data: Fields, version?: number): Promise<Fields | undefined> {
    const mutation = this._list._client._env.uuid();
    return quiet(new Promise<Fields | undefined>((resolve, reject) => {
      const w: Write = {
        _verb: verb,
        _key: key ?? "~" + mutation, // "~" is after digits and letters: among equals the new row comes last
        _data: { ...data },
        _version: version,
        _mutation: mutation,
        _state: "waiting",
        _echoed: false,
        _resolve: resolve,
        _reject: reject,
      };
      if (key === undefined) w._guess = makeRow(w._key, undefined, { ...data }, true);
      // The version that the writer saw is the one held now; behind another own write it is the one which that leaves.
      else if (!this._ahead(w)) w._version ??= this._held(w._key);
      this._all.push(w);
      this._list._changed();
      if (!this._ahead(w)) this._send(w);
    }));
  }

  /** The rows as the application is to see them. */
  _overlay(base: Row[], compare?: Compare): Row[] {
    const all = this._all.filter(w => !w._echoed);
    if (!all.length) return base;
    const rows = new Rows(base, compare, base);
    for (const w of all) {
      const key = this._real(w._key);
      const held = rows._all.get(key);
      if (w._verb === "delete") {
        rows._put(key);
      } else if (w._row) {
        if (held ? !older(w._row.version, held.version) : w._verb === "create") rows._put(key, w._row);
      } else if (w._verb === "create") {
        rows._put(key, w._guess);
      } else if (held) {
        if (w._over !== held) {
          w._over = held;
          w._guess = makeRow(key, held.version, { ...held.fields, ...w._data }, true);
        }
        rows._put(key, w._guess);
      }
    }
    return rows._first();
  }

  /** A change of the server: if it is one of ours, the rows now say it. */
  _echo({ op, mutation, key, version }: WireChange): void {
    if (op !== "update") this._renewed(key);
    const w = mutation && this._all.find(w => w._mutation === mutation);
    if (!w) return;
    w._echoed = true;
    this._named(w, key);
    if (/again|lost/.test(w._state)) this._finish(w, version);
    else if (w._state === "answered") this._drop(w);
  }

  /** The cursor of the list moved, or the list is no longer subscribed. */
  _moved(): void {
    for (const w of [...this._all]) {
      if (w._state === "answered" && this._passed(w)) this._drop(w);
      else if (w._state === "lost" && !this._list._id) this._lose(w);
    }
  }

  /** The list lives again: after a new start no echo comes any more, after a resume it may be on its way. */
  _alive(resumed: boolean): void {
    const all = this._all.filter(w => w._state === "lost");
    if (!resumed) {
      this._renewed();
      for (const w of all) this._lose(w);
    } else if (all.length && !this._timer) {
      const { _connection } = this._list._client;
      const link = _connection._link;
      this._timer = this._list._client._after(0, Ms.ECHO, () => {
        this._timer = undefined;
        // Only time on one living connection counts.
        this._alive(!link || link !== _connection._link);
      });
    }
  }

  private _renewed(key?: string): void {
    for (const w of this._all) w._anew ||= !key || this._real(w._key) === key;
  }

  /** The first unfinished write to the same row that was made before w. */
  private _ahead(w: Write): Write | undefined {
    for (const other of this._all) {
      if (other === w) return;
      if (other._state !== "answered" && this._real(other._key) === this._real(w._key)) return other;
    }
    return;
  }

  /** The version that is held of a row, when it is a number. */
  _held(key: string): number | undefined {
    const real = this._real(key), row = this._list._base._all.get(real);
    return numeric(this._overlay(row ? [row] : []).find(r => r.key === real)?.version);
  }

  private _send(w: Write): void {
    const list = this._list;
    w._state = "sent";
    w._anew = false;
    list._client._call({
      router: list._of,
      verb: w._verb,
      key: w._verb === "create" ? undefined : this._real(w._key),
      version: w._version,
      data: w._verb === "delete" ? undefined : w._data,
      mutation: w._mutation,
    }, {
      _feed: list,
      _done: (m, ordered) => this._result(w, m, ordered),
      _fail: e => {
        // An echo may have told meanwhile.
        if (w._state === "answered") return;
        if (e.code === "unknown_outcome") this._missing(w);
        else this._refuse(w, e);
      },
      _lost: () => this._missing(w),
      _missed: () => {
        w._state = "again";
        if (w._echoed) this._finish(w, undefined);
      },
      _over: () => w._state === "answered",
    });
  }

  /** Nobody can tell any more whether it happened, but its echo. */
  private _missing(w: Write): void {
    w._state = "lost";
    if (w._echoed) this._finish(w, undefined);
    else if (!this._list._id) this._lose(w);
    else if (this._list._client._connection._link) this._alive(true);
  }

  /** A row that was created here has got its key. */
  private _named(w: Write, key: string): void {
    if (w._verb !== "create") return;
    this._keys.set(w._key, key);
    this._list._related?._named(w._key, key);
  }

  private _result(w: Write, m: ResultMessage, ordered: boolean): void {
    w._cursor = m.cursor;
    if ((w._unsent = m.unsent)) {
      // Rows that came while it was under way may have been read before it was done.
      w._anew = false;
      this._late(w);
    }
    if (m.row) {
      w._row = fromWire(m.row);
      this._named(w, m.row.key);
    }
    const done = w._echoed || (ordered && !w._unsent) || this._passed(w);
    this._finish(w, m.row?.version, done);
  }

  /**
   * Whether the list has come to where the answer was: to its cursor, or when it has none, to the version of its row. That tells
   * nothing of a row that is another one by now: then the list is right.
   */
  private _passed(w: Write): boolean {
    const { _id, _cursor, _base } = this._list;
    const held = _base._all.get(this._real(w._key));
    return !_id || (w._cursor ? !after(w._cursor, _cursor) : w._anew || (!w._unsent && (!held || !older(held.version, w._row?.version))));
  }

  /** What is not on the log yet is shown until it comes, but not for ever: it may concern no row here. Only time on one living connection, and with the log at hand, counts. */
  private _late(w: Write): void {
    const client = this._list._client, { _link } = client._connection;
    client._after(0, Ms.LATE, () => {
      if (!this._all.includes(w)) return;
      if (_link && _link === client._connection._link && !client._status.current.degraded) this._drop(w);
      else this._late(w);
    });
  }

  private _finish(w: Write, version: Version, drop = true): void {
    w._state = "answered";
    // The row of the list, so that who compares finds it there, unless the result has overtaken the list.
    const held = this._list._base._all.get(this._real(w._key));
    const row = w._verb === "delete" ? undefined : held && !older(held.version, w._row?.version) ? held : w._row;
    if (drop) this._drop(w);
    this._list._changed();
    w._resolve(row?.fields);
    this._next(w._key, numeric(version ?? row?.version));
  }

  private _refuse(w: Write, e: LiveError): void {
    const create = w._verb === "create";
    if (e.current) {
      // What the row is now is shown until the list has come to it. It is no change of the log, so it does not go into the rows.
      w._verb = "update";
      w._state = "answered";
      w._row = fromWire(e.current);
    }
    if (!e.current || this._passed(w)) this._drop(w);
    this._list._changed();
    w._reject(e);
    this._list._failed(e);
    if (create) {
      // What was to be done to a row that never came to be is refused with it.
      const orphans = this._all.filter(o => o._key === w._key);
      this._all = this._all.filter(o => o._key !== w._key);
      for (const o of orphans) this._refuse(o, e);
    } else {
      this._next(w._key, w._version);
    }
  }

  private _lose(w: Write): void {
    this._refuse(w, unknown());
  }

  private _next(key: string, version: number | undefined): void {
    const w = this._all.find(w => w._state !== "answered" && this._real(w._key) === this._real(key));
    if (w?._state !== "waiting") return;
    w._version ??= version;
    this._send(w);
  }

  private _drop(w: Write): void {
    this._all = this._all.filter(o => o !== w);
    this._list._changed();
  }
}
