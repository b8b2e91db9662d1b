// People out of rows: a row is one tab of one person at one place, a person is who has them.

import type { Meta, Person } from "./types.ts";

/** A row of the router of presence. */
export interface MemberRow {
  id: string;
  on: string;
  person: string;
  name: string;
  info: unknown;
  state: Meta["state"];
  away: boolean;
  since: string;
  lock: string;
  wants: boolean;
}

const byTime = (a: { since: string }, b: { since: string }) => Date.parse(a.since) - Date.parse(b.since);
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export const NOBODY: readonly Person[] = Object.freeze([]);

/** The meta of a row, which is frozen and stays the same object, as its meta does. */
const metas = new WeakMap<MemberRow, Meta>();

function metaOf(row: MemberRow): Meta {
  let meta = metas.get(row);
  if (!meta) {
    const { id: member, on, state, away, since, lock, wants } = row;
    metas.set(row, (meta = Object.freeze({ member, on, state, away, since, lock, wants })));
  }
  return meta;
}

/** A list of people that is made anew of each state of the rows, and in which what did not change stays the same object. */
export class People {
  _list = NOBODY;
  /** By id, with when he came: that stays when he closes the tab with which he did, so that nobody changes places. */
  private _known = new Map<string, { _person: Person; _since: string }>();

  /** Takes the rows as they are now, and tells whether they make another list. */
  _set(rows: readonly MemberRow[], mine: ReadonlySet<string>): boolean {
    const groups = new Map<string, MemberRow[]>();
    for (const row of rows) {
      const group = groups.get(row.person);
      group ? group.push(row) : groups.set(row.person, [row]);
    }
    const known: typeof this._known = new Map();
    for (const [id, group] of groups) {
      group.sort((a, b) => byTime(a, b) || byText(a.id, b.id));
      // What is said of him last, as another tab may have signed in under the old name.
      const { name, info } = group[group.length - 1]!;
      const all = group.map(metaOf), me = all.some(m => mine.has(m.member)), was = this._known.get(id);
      const p = was?._person;
      const same = p && p.name === name && JSON.stringify(p.info) === JSON.stringify(info) && p.me === me && p.metas.length === all.length && p.metas.every((m, i) => m === all[i]);
      known.set(id, {
        _person: same ? p : Object.freeze({ id, name, info, me, metas: Object.freeze(all) }),
        _since: was && byTime({ since: was._since }, group[0]!) < 0 ? was._since : group[0]!.since,
      });
    }
    this._known = known;
    const list = [...known.values()].sort((a, b) => byTime({ since: a._since }, { since: b._since }) || byText(a._person.id, b._person.id)).map(k => k._person);
    if (list.length === this._list.length && list.every((p, i) => p === this._list[i])) return false;
    this._list = Object.freeze(list);
    return true;
  }
}
