// The rows of a subscription as the server told them, without any guess.

import { older } from "./cursor.ts";
import type { Fields, Version, WireChange, WireRow } from "./wire.ts";

export interface Row {
  readonly key: string;
  readonly version: Version;
  /** What the application sees as the row: frozen, the same object until the row changes. */
  readonly fields: Fields;
}

// The application's row is the bare fields object; what else is known of it stands beside it.
const known = new WeakMap<object, { key: string; pending: boolean }>();

export function makeRow(key: string, version: Version, fields: Fields, pending = false): Row {
  known.set(fields, { key, pending });
  return { key, version, fields: Object.freeze(fields) as Fields };
}

export const fromWire = (row: WireRow): Row => makeRow(row.key, row.version, row.fields);

/** The application's rows of an answer. */
export const rowsOf = <T>({ rows = [] }: { rows?: WireRow[] }): readonly T[] => Object.freeze(rows.map(r => fromWire(r).fields as T));

/** The key of a row that a list showed or a call returned. */
export const keyOf = (row: object): string | undefined => known.get(row)?.key;

export const isPending = (row: object): boolean => !!known.get(row)?.pending;

export class Rows {
  /** In the order of the snapshot, new rows last. */
  _all = new Map<string, Row>();

  _replace(rows: WireRow[] = []): void {
    this._all = new Map(rows.map(r => [r.key, fromWire(r)]));
  }

  /** Applies one change, and tells whether it meant anything here: an older version does not, nor what concerns a row that is not held. */
  _apply({ op, key, version, fields }: WireChange): boolean {
    const held = this._all.get(key);
    const whole = op === "create" || op === "enter";
    if (held ? older(version, held.version) : !whole) return false;
    if (whole || op === "update") {
      // A row that is replaced keeps its place: Map.set does not move it.
      this._all.set(key, makeRow(key, version ?? held?.version, whole ? { ...fields } : { ...held!.fields, ...fields }));
    } else if (op === "leave" || op === "delete") {
      this._all.delete(key);
    } else {
      return false;
    }
    return true;
  }
}
