// The window of a list that has a limit: the first rows in its order, and the bound, up to which every row is held.

import type { Row, Rows } from "./rows.ts";

export class Window {
  /** How many rows; undefined for all. The server may set it, when there are more than it gives without. */
  _limit: number | undefined;
  /** The effective order, ended by the key field. */
  _order = "";
  /** The last row's values of the fields of the order. Without a bound all rows that there are, are held. */
  _bound: unknown[] | undefined;
  /** What the server said last: whether there are rows beyond. */
  _more = false;

  constructor(limit: number | undefined) {
    this._limit = limit;
  }

  /**
   * Takes what a message said of rows beyond the last, if it did, and finds the bound. Such a message tells which rows there are: the
   * first, or those that it names where it names all, are kept, and the others dropped and returned. After any other all stay, for the
   * rows before them may leave with the next one.
   */
  _fit(base: Rows, more?: boolean, named?: Set<unknown>): Row[] {
    const rows = base._sorted, { _limit } = this;
    if (!_limit || !base._compare) return [];
    const others = named ? rows.filter(r => !named.has(r.key)) : more === undefined ? [] : rows.slice(_limit);
    for (const { key } of others) base._put(key);
    this._more = more ?? this._more;
    const last = rows[rows.length - 1], full = rows.length >= _limit;
    if (!full && more === false) this._bound = undefined;
    else if (last && (full || more || this._beyond(last, base))) this._bound = this._fields().map(f => last.fields[f]);
    return others;
  }

  /** Whether nothing is missing. */
  _filled({ _all }: Rows): boolean {
    return !this._bound || _all.size >= this._limit!;
  }

  private _beyond(row: Row, { _compare }: Rows): boolean {
    const { _bound } = this;
    return !!_bound && _compare!(row, { ...row, fields: Object.fromEntries(this._fields().map((f, i) => [f, _bound[i]])) }) > 0;
  }

  private _fields(): string[] {
    return this._order.split(",").map(f => f.replace("-", ""));
  }
}
