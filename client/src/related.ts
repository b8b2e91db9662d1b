// What the rows of a list relate to: ordinary lists on the other routers, for the rows that are needed and no others, and the rows
// of the list put together with theirs.
//
// A row is not shown before what it relates to was answered, so that nothing flickers: until then the row that was shown in its
// place stays. After a second, or when the other list is refused, it is shown without, its member undefined.

import type { Client } from "./client.ts";
import { older } from "./cursor.ts";
import type { ListFeed } from "./list.ts";
import { compareText, compareValues } from "./order.ts";
import { isPending, makeRow, type Row } from "./rows.ts";
import type { Stop } from "./types.ts";
import type { Fields, WireRelation } from "./wire.ts";

/**
 * How many values one list asks for at most. Lists with less than SMALL needed values are put together when there are more than MANY.
 * PATIENCE is how long a row waits for what it relates to; LINGER how long one that left is looked for in the next list.
 */
const enum Most { CHUNK = 100, SMALL = 50, MANY = 8 }
const enum Ms { PATIENCE = 1000, LINGER = 100 }

/** Values by their text, which is how rows of several routers find each other. */
type Values = Map<string, unknown>;

interface Chunk {
  _values: Values;
  _list: ListFeed<object>;
  _off: Stop;
  /** It was asked for long enough ago. */
  _late: boolean;
  /** Others take its place; it goes as soon as they are answered. */
  _old: boolean;
  /** Part of one that was too large. */
  _part: boolean;
}

const byKey = (a: Row, b: Row) => +a.key - +b.key || compareText(a.key, b.key);

const answered = (c: Chunk) => c._list.status.state !== "loading";

/** The rows of a router whose field has one of the values that are wanted. */
class Pool {
  private _client: Client;
  private _router: string;
  private _field: string;
  private _changed: () => void;
  private _chunks: Chunk[] = [];
  private _index: Map<string, Row[]> | undefined;
  private _rows = new Map<string, Row>();
  /** Rows that left one of several lists: with this change they may have entered another. */
  private _gone = new Map<string, Row>();
  private _timer: unknown;

  constructor(client: Client, router: string, field: string, changed: () => void) {
    this._client = client;
    this._router = router;
    this._field = field;
    this._changed = () => {
      this._index = undefined;
      changed();
    };
  }

  /** Follows the rows with these values, and no longer those with others. */
  _want(values: Values): void {
    const missing = new Map(values);
    const needed = (c: Chunk) => [...c._values].filter(([v]) => values.has(v));
    const done = this._chunks.every(c => c._old || answered(c));
    this._chunks = this._chunks.filter(c => {
      const keep = !(c._old && done) && needed(c).length;
      if (!keep) this._drop(c);
      return keep;
    });
    for (const c of [...this._chunks]) {
      if (c._old) continue;
      if (c._list.hasMore && c._values.size > 1) {
        // More rows than one list holds.
        c._old = true;
        this._add(c._values, Math.ceil(c._values.size / 2), true);
      }
      for (const v of c._values.keys()) missing.delete(v);
    }
    const small = this._chunks.filter(c => !c._old && !c._part && needed(c).length < Most.SMALL);
    if (missing.size && small.length > Most.MANY) {
      for (const c of small) {
        c._old = true;
        for (const [v, value] of needed(c)) missing.set(v, value);
      }
    }
    this._add(missing);
  }

  /** The rows with this value, by key; undefined as long as they are not known, null when there is no use in waiting. */
  _find(value: string): readonly Row[] | null | undefined {
    const chunks = this._chunks.filter(c => c._values.has(value));
    if (chunks.some(c => c._list.status.state === "live")) return (this._index ??= this._build()).get(value) || [];
    return chunks.length && chunks.every(c => c._late || answered(c)) ? null : undefined;
  }

  _release(): void {
    this._client._env.clearTimeout(this._timer);
    this._gone.clear();
    this._chunks.splice(0).forEach(c => this._drop(c));
  }

  private _add(values: Values, size = Most.CHUNK, part = false): void {
    const all = [...values].sort(([, a], [, b]) => compareValues(a, b));
    while (all.length) {
      const some = all.splice(0, size);
      const list = this._client.list<object>(this._router, { where: { [this._field]: { in: some.map(([, v]) => v) } } }) as ListFeed<object>;
      const chunk: Chunk = { _values: new Map(some), _list: list, _late: false, _old: false, _part: part, _off: () => {} };
      const offs = [
        list.on("change", c => {
          if (c.op === "leave" && this._chunks.length > 1) this._linger(c.key);
        }),
        list.subscribe(this._changed),
      ];
      const timer = this._client._after(0, Ms.PATIENCE, () => {
        chunk._late = true;
        this._changed();
      });
      chunk._off = () => {
        this._client._env.clearTimeout(timer);
        offs.forEach(off => off());
      };
      this._chunks.push(chunk);
    }
  }

  private _drop(chunk: Chunk): void {
    chunk._off();
    this._index = undefined;
  }

  private _linger(key: string): void {
    const row = this._rows.get(key);
    if (!row) return;
    this._gone.set(key, row);
    this._timer = this._client._after(this._timer, Ms.LINGER, () => {
      this._gone.clear();
      this._changed();
    });
  }

  private _build(): Map<string, Row[]> {
    const all = new Map<string, Row>();
    for (const { _list } of this._chunks) {
      for (const row of _list._base._all.values()) {
        const other = all.get(row.key), was = this._rows.get(row.key);
        // On its way from one list to another it may stand in both.
        if (other && older(row.version, other.version)) continue;
        // One that came again and says the same is the one that is shown.
        all.set(row.key, was && was !== row && JSON.stringify(was.fields) === JSON.stringify(row.fields) ? was : row);
      }
    }
    for (const [key, row] of this._gone) all.has(key) ? this._gone.delete(key) : all.set(key, row);
    this._rows = all;
    const index = new Map<string, Row[]>();
    for (const row of [...all.values()].sort(byKey)) {
      const value = String(row.fields[this._field]);
      const rows = index.get(value);
      rows ? rows.push(row) : index.set(value, [row]);
    }
    return index;
  }
}

/** A relation: where its rows are, and for one through others, those between. */
interface Relation extends WireRelation {
  _name: string;
  _between: Pool | undefined;
  _pool: Pool;
}

/** A row put together, and that which it was made of. */
interface Made {
  _from: Row;
  _row: Row;
}

export class Related {
  /** Whether a row waits for what it relates to. */
  _waiting = false;
  _name: string;
  private _relations: Relation[];
  private _keyField: string;
  private _shown = new Map<string, Made>();

  constructor(client: Client, relations: Record<string, WireRelation>, order = "", changed: () => void, name = "") {
    this._name = name;
    // The effective order ends with the key field.
    this._keyField = order.split(",").pop()!.replace("-", "");
    this._relations = Object.entries(relations).map(([_name, r]) => ({
      ...r,
      _name,
      _between: r.through ? new Pool(client, r.through, r.field!, changed) : undefined,
      _pool: new Pool(client, r.router, r.key ? r.by! : r.field!, changed),
    }));
  }

  /** The rows with what they relate to; and from now on what they need is followed, and nothing else. */
  _join(rows: Row[], follow = true): Row[] {
    if (follow) for (const r of this._relations) this._follow(r, rows);
    const shown = new Map<string, Made>();
    this._waiting = false;
    for (const row of rows) {
      const made = this._make(row, this._shown.get(row.key));
      if (made) shown.set(row.key, made);
    }
    this._shown = shown;
    return [...shown.values()].map(s => s._row);
  }

  /** A row that was created here has got its key. */
  _named(was: string, key: string): void {
    const made = this._shown.get(was);
    if (made) this._shown.set(key, made);
  }

  /** Gives up the other lists; the next _join asks for them again. */
  _release(): void {
    for (const { _between, _pool } of this._relations) {
      _between?._release();
      _pool._release();
    }
  }

  private _follow(r: Relation, rows: Row[]): void {
    const byText = (values: unknown[]) => new Map(values.map(v => [String(v), v]));
    const own = byText(rows.flatMap(row => this._values(row, r)));
    const { _between, _pool } = r;
    _between?._want(own);
    _pool._want(_between ? byText([...own.keys()].flatMap(v => _between._find(v) || []).map(row => row.fields[r.key!])) : own);
  }

  /** The values by which the row finds what it relates to. */
  private _values({ key, fields }: Row, r: Relation): unknown[] {
    if (r.key && !r._between) return [fields[r.key] ?? []].flat();
    // A row that was just created here has no key that the server knows.
    if (key[0] === "~" && isPending(fields)) return [];
    return [fields[this._keyField] ?? key];
  }

  /** What the row is put together to, which is what it was if nothing of it changed; nothing if it has to wait for the first time. */
  private _make(row: Row, was: Made | undefined): Made | undefined {
    const members: Fields = {};
    let same = was?._from.fields === row.fields, waits = false;
    const find = (pool: Pool, values: unknown[]): Row[] | undefined => {
      const found = values.map(v => pool._find(String(v)));
      waits ||= found.includes(undefined);
      return found.every(rows => rows) ? (found as Row[][]).flat() : undefined;
    };
    for (const r of this._relations) {
      const old = was?._row.fields[r._name];
      const single = r.key && !r._between;
      const values = this._values(row, r);
      let rows = r._between ? find(r._between, values) : find(r._pool, values);
      if (r._between) rows = rows && find(r._pool, rows.map(row => row.fields[r.key!]))?.sort(byKey);
      let value: unknown = rows?.map(row => row.fields);
      if (single && !(row.fields[r.key!] instanceof Array)) value = row.fields[r.key!] === undefined ? undefined : rows && (rows[0]?.fields ?? null);
      else if (rows && old instanceof Array && rows.length === old.length && rows.every((row, i) => row.fields === old[i])) value = old;
      members[r._name] = value instanceof Array ? Object.freeze(value) : value;
      same &&= value === old;
    }
    if (waits) {
      this._waiting = true;
      if (!isPending(row.fields)) {
        if (!was) return;
        // What it was is shown; but what belongs to it by its own key goes on, for that may have come from another row, or gone to one.
        row = was._from;
        same = true;
        for (const { _name, key } of this._relations) {
          const old = was._row.fields[_name];
          if (key) members[_name] = old;
          same &&= (members[_name] ??= old) === old;
        }
      }
    }
    return same ? was : { _from: row, _row: makeRow(row.key, row.version, { ...row.fields, ...members }, isPending(row.fields)) };
  }
}
