// The window of a list that has a limit: the first rows in its order, and the bound, up to which every row is held.

import type { Row, Rows } from "./rows.ts";

export class Window {
  /** How many rows; undefined for all. The server may set it, when there are more than it gives without. */
  _limit: number | undefined;
  /** The effective order, ended by the key field. */
  _order = "";
  /** The last row's values of the fields of the order. Without a bound all rows that there are, are held. */
  _bound: unknown[] | undefined;
  /** Whether there may be rows beyond the last. */
  _more = false;

  constructor(limit: number | undefined) {
    this._limit = limit;
  }

  /**
   * Keeps the first rows, after a message that said whether there are more, or did not, and in which a row left, or none. Returns
   * the others.
   */
  _fit({ _all }: Rows, compare: (a: Row, b: Row) => number, more: boolean | undefined, left: boolean): Row[] {
    if (!this._limit) return [];
    const rows = [..._all.values()].sort(compare);
    const others = rows.splice(this._limit);
    for (const { key } of others) _all.delete(key);
    const last = rows[rows.length - 1], full = rows.length === this._limit;
    if (full || more) this._bound = last && this._order.split(",").map(f => last.fields[f.replace("-", "")]);
    else if (more === false) this._bound = undefined;
    // What left a window that is full may have been pushed out of it.
    this._more = others.length > 0 || (more ?? (this._more || (full && left)));
    return others;
  }

  /** Whether nothing is missing. */
  _filled({ _all }: Rows): boolean {
    return !this._bound || _all.size >= this._limit!;
  }
}
