// A draft: what a form shows beside the row that it is of, field by field.
//
// For each field it is known from which value the user began (base), and which text shows it. A field whose text is another one is
// dirty. What the row becomes meanwhile is merged: a clean field shows it, a dirty one that others did not touch stays, and where both
// changed one field there is a conflict, until the user decides.

import { difference } from "./difference.ts";
import type { Fields } from "./form.ts";
import type { Conflict } from "./types.ts";

export type Row = Record<string, unknown>;
export type Version = number | string | undefined;

interface Base {
  /** Undefined as long as no row is known. */
  _value: unknown;
  _text: string;
}

const equal = (a: unknown, b: unknown): boolean => a === b || text(a) === text(b);
/** JSON with the members in order. */
const text = (value: unknown): string =>
  JSON.stringify(value ?? null, (_, v: unknown) => (v instanceof Object && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v));

/** Whether a version is certainly not after another. Those that have no order are others when they differ. */
export function notAfter(a: Version, b: Version): boolean {
  if (a === undefined || b === undefined) return false;
  if (typeof a === "number" && typeof b === "number") return a <= b;
  return a === b || (typeof a === "string" && typeof b === "string" && a.split(".", 1)[0] === b.split(".", 1)[0] && a < b);
}

/** The value of a hidden input, which is JSON. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

export class Draft {
  _fields: Fields;
  /** The row that was merged last. */
  _row: Row | undefined;
  _version: Version;
  /** The last version of which nothing is left to be decided: who saves without a script says that he saw this. */
  _settled: Version;
  _clashes = new Map<string, Conflict>();
  /** The field in which an input method composes text: nobody may write there now. */
  _composing: string | undefined;
  private _base = new Map<string, Base>();
  /** What the fields showed that are being saved: what they show else by then is on top of that. */
  private _sent = new Map<string, string>();
  private _parse: Record<string, (text: string) => unknown>;

  constructor(fields: Fields, parse: Record<string, (text: string) => unknown> = {}) {
    this._fields = fields;
    this._parse = parse;
    // A form that came with its version shows a row; one without waits for it.
    const version = fields._hidden("version")?.value;
    if (version) this._version = this._settled = /^\d+$/.test(version) ? Number(version) : version;
    // A page that could not be saved comes with what was written in it; what that was made from stands beside it.
    if (version) for (const f of fields._all()) {
      const was = fields._hidden("was." + f), value = was && parsed(was.value);
      this._base.set(f, { _value: value, _text: value === undefined ? fields._text(f, true) : fields._shown(f, value) });
    }
  }

  /** The value that the form has. */
  _value(field: string): unknown {
    const parse = this._parse[field], base = this._base.get(field);
    if (base && this._text(field) === base._text) return base._value;
    return parse ? parse(this._text(field)) : this._fields._value(field, base?._value ?? this._row?.[field]);
  }

  get _dirty(): string[] {
    return this._fields._all().filter(f => {
      const base = this._base.get(f);
      return this._text(f) !== (base ? base._text : this._row ? this._fields._shown(f, this._row[f]) : this._fields._text(f, true));
    });
  }

  /** What there is to save: the values of the dirty fields, and those from which the user began. */
  _changes(): { data: Row; base: Row; texts: Map<string, string> } {
    const data: Row = {}, base: Row = {}, texts = new Map<string, string>();
    for (const f of this._dirty) {
      data[f] = this._value(f);
      const was = this._base.get(f)?._value;
      // A field that the user may write and not read has no base.
      if (was !== undefined) base[f] = was;
      texts.set(f, this._text(f));
    }
    this._sent = texts;
    return { data, base, texts };
  }

  /**
   * The row is another one now. Of fields that were saved the texts are told with which they were: what the user typed since is on top of what he
   * saved. Returns the fields that changed.
   */
  _merge(row: Row, version: Version, by: (field: string) => unknown = () => undefined, saved?: Map<string, string>): string[] {
    const was = this._row, served = !was && this._version !== undefined && this._version === version;
    const changed = was ? Object.keys({ ...was, ...row }).filter(f => !equal(was[f], row[f])) : [];
    this._row = row;
    this._version = version;
    for (const f of this._fields._all()) {
      if (!(f in row)) continue;
      const theirs = row[f], shown = this._fields._shown(f, theirs), text = this._text(f);
      const base = this._base.get(f) ?? { _value: was?.[f], _text: was ? this._fields._shown(f, was[f]) : this._fields._text(f, true) };
      // A row that is known to be what the page came with shows as the page shows it.
      const next = { _value: theirs, _text: served ? base._text : shown };
      const same = was ? equal(base._value, theirs) : base._text === shown;
      const own = saved?.get(f);
      if (own !== undefined) {
        this._base.set(f, next);
        this._clashes.delete(f);
        if (text === own && f !== this._composing) this._fields._show(f, shown);
      } else if (served || same || text === shown) {
        // Also what both of them did alike, or who was first took back.
        this._base.set(f, same && was ? base : next);
        this._clashes.delete(f);
      } else if (f === this._composing) {
        // When the text is composed it is either dirty or not.
        continue;
      } else if (text === base._text) {
        this._base.set(f, next);
        this._fields._show(f, shown);
      } else {
        const clash = this._clashes.get(f);
        if (!clash || !equal(clash.theirs, theirs)) this._clash(f, theirs, version, by(f));
      }
    }
    if (!this._clashes.size) this._settled = version;
    this._note();
    return changed;
  }

  /** There is a conflict where the server says so, whatever was found here. */
  _clash(field: string, theirs: unknown, version: Version, by: unknown): void {
    const draft = this, { _fields } = this;
    this._clashes.set(field, {
      field, theirs, version, by,
      label: _fields._label(field),
      base: this._base.get(field)?._value,
      get mine() {
        return draft._value(field);
      },
      get difference() {
        return difference(_fields._shown(field, theirs), _fields._text(field));
      },
    });
  }

  /** The user has seen theirs, and keeps what the form shows. */
  _keep(field: string): void {
    const clash = this._clashes.get(field);
    if (!clash) return;
    this._base.set(field, { _value: clash.theirs, _text: this._fields._shown(field, clash.theirs) });
    this._decided(field);
  }

  /** The form shows the row's. */
  _take(field: string): void {
    const clash = this._clashes.get(field), base = this._base.get(field);
    const value = clash ? clash.theirs : this._row ? this._row[field] : undefined;
    const text = clash || !base ? this._fields._shown(field, value) : base._text;
    this._base.set(field, { _value: value, _text: text });
    this._fields._show(field, text);
    // Who dropped a change that is being saved has nothing on top of it.
    if (this._sent.has(field)) this._sent.set(field, this._text(field));
    this._decided(field);
  }

  private _decided(field: string): void {
    this._clashes.delete(field);
    if (!this._clashes.size) this._settled = this._version;
    this._note();
  }

  /** What a form that works without a script sends of it: the version that the user saw, and the values. */
  private _note(): void {
    const version = this._fields._hidden("version");
    if (version && this._settled !== undefined) version.value = String(this._settled);
    for (const [f, { _value }] of this._base) {
      const was = this._fields._hidden("was." + f);
      if (was && _value !== undefined) was.value = JSON.stringify(_value);
    }
  }

  private _text(field: string): string {
    return this._fields._text(field);
  }
}
