// The rows of a subscription as the server told them, without any guess.

import { older } from "./cursor.ts";
import type { Fields, Version, WireChange, WireRow } from "./wire.ts";

export interface Row {
  readonly key: string;
  readonly version: Version;
  /** What the application sees as the row: frozen, the same object until the row changes. */
  readonly fields: Fields;
}

export type Compare = (a: Row, b: Row) => number;

// The application's row is the bare fields object; what else is known of it stands beside it.
const known = new WeakMap<object, { key: string; version: Version; pending: boolean }>();

export function makeRow(key: string, version: Version, fields: Fields, pending = false): Row {
  known.set(fields, { key, version, pending });
  return { key, version, fields: Object.freeze(fields) as Fields };
}

export const fromWire = (row: WireRow): Row => makeRow(row.key, row.version, row.fields);

/** The application's rows of an answer. */
export const rowsOf = <T>({ rows = [] }: { rows?: WireRow[] }): readonly T[] => Object.freeze(rows.map(r => fromWire(r).fields as T));

/** The key of a row that a list showed or a call returned. */
export const keyOf = (row: object): string | undefined => known.get(row)?.key;

export const versionOf = (row: object): Version => known.get(row)?.version;

export const isPending = (row: object): boolean => !!known.get(row)?.pending;

export class Rows {
  /** In the order of the snapshot, new rows last. */
  _all: Map<string, Row>;
  _compare: Compare | undefined;
  /** The same in order, where there is one. A change moves its row in it: nothing is sorted anew, however many rows there are. */
  _sorted: Row[];

  constructor(rows: Row[], compare?: Compare, sorted?: Row[]) {
    this._all = new Map(rows.map(r => [r.key, r]));
    this._compare = compare;
    this._sorted = sorted || (compare ? [...this._all.values()].sort(compare) : []);
  }

  /** The first rows in their order. */
  _first(limit?: number): Row[] {
    return this._compare ? this._sorted.slice(0, limit) : [...this._all.values()];
  }

  /** Puts a row in place of the one of this key, or nothing. */
  _put(key: string, row?: Row): void {
    const { _all, _sorted } = this, was = _all.get(key);
    // A row that is replaced keeps its place: Map.set does not move it.
    row ? _all.set(key, row) : _all.delete(key);
    if (!this._compare) return;
    if (was) _sorted.splice(_sorted.indexOf(was), 1);
    if (!row) return;
    let low = 0, high = _sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      this._compare(_sorted[middle]!, row) < 0 ? (low = middle + 1) : (high = middle);
    }
    _sorted.splice(low, 0, row);
  }

  /** Applies one change, and tells whether it meant anything here: an older version does not, nor what concerns a row that is not held. */
  _apply({ op, key, version, fields }: WireChange): boolean {
    const held = this._all.get(key);
    const whole = op === "create" || op === "enter";
    if (held ? older(version, held.version) : !whole) return false;
    if (whole || op === "update") {
      this._put(key, makeRow(key, version ?? held?.version, whole ? { ...fields } : { ...held!.fields, ...fields }));
    } else if (op === "leave" || op === "delete") {
      this._put(key);
    } else {
      return false;
    }
    return true;
  }
}
