// Who is at a place, or at several: lists of the router of presence, and the member that this tab is there.

import type { Core } from "../hook.ts";
import type { Count, FeedStatus, Key, List, Stop } from "../types.ts";
import { Member, mine } from "./member.ts";
import { NOBODY, People, type MemberRow } from "./people.ts";
import type { Person, Presence, PresenceOptions, State } from "./types.ts";

/** How many objects one subscription may be about. */
const MOST = 200;

const LOADING: FeedStatus = Object.freeze({ state: "loading" });
const LIVE: FeedStatus = Object.freeze({ state: "live" });
const CLOSED: FeedStatus = Object.freeze({ state: "closed" });

interface Part {
  _list: List<MemberRow> & { again(): void };
  _off: Stop;
}

/** Calls a handler of the application: what it throws is reported and disturbs nobody else. */
export function guard<A extends unknown[]>(f: ((...args: A) => void) | undefined, ...args: A): void {
  try {
    f?.(...args);
  } catch (e) {
    (globalThis.reportError ?? console.error)(e);
  }
}

export type Where = { router?: string; key?: Key; keys?: readonly Key[]; channel?: string };

export class Here implements Presence {
  people: readonly Person[] = NOBODY;
  status: FeedStatus = LOADING;
  private _live: Core;
  private _where: Where;
  private _options: PresenceOptions;
  private _me: Member | undefined;
  private _keys: ReadonlySet<string> | undefined;
  /** Those that are shown, and those that are to take their place as soon as all of them have been answered. */
  private _parts: Part[] = [];
  private _next: Part[] | undefined;
  private _counter: Count | undefined;
  private _uncount: Stop = () => {};
  private _all = new People();
  private _at = new Map<string, People>();
  private _listeners = new Set<() => void>();
  private _due = false;
  private _left = false;

  constructor(live: Core, where: Where, options: PresenceOptions) {
    this._live = live;
    this._where = where;
    this._options = options;
    if (where.keys) {
      this.look(where.keys);
    } else {
      if (!options.look) this._me = new Member(live, options.name ?? "presence", options.state ?? { state: "viewing" }, () => this._parts[0]?._list.again());
      const name = where.channel !== undefined ? { channel: where.channel } : { key: String(where.key) };
      this._parts = [this._part(() => ({ ...name, presence: this._me?._presence() ?? {} }))];
    }
  }

  get member(): string | undefined {
    return this._me?._id;
  }

  get state(): State {
    return this._me?._state ?? {};
  }

  get hasMore(): boolean {
    return this._parts.some(p => p._list.hasMore);
  }

  get count(): number {
    return (this.hasMore && this._counter?.value) || this.people.length;
  }

  at(key: Key): readonly Person[] {
    return this._at.get(String(key))?._list ?? NOBODY;
  }

  subscribe(f: (people: readonly Person[], status: FeedStatus) => void): Stop {
    let told: unknown[] = [];
    const tell = () => {
      const now = [this.people, this.status, this.count, this.hasMore];
      if (now.every((v, i) => v === told[i])) return;
      told = now;
      guard(f, this.people, this.status);
    };
    this._listeners.add(tell);
    tell();
    return () => void this._listeners.delete(tell);
  }

  set(state: State): void {
    this._me?._set(state);
  }

  look(keys: readonly Key[]): void {
    const all = [...new Set(keys.map(String))].sort();
    if (this._left || !this._where.keys || (this._keys?.size === all.length && all.every(k => this._keys!.has(k)))) return;
    this._keys = new Set(all);
    for (const p of this._next ?? []) p._off();
    const parts: Part[] = [];
    for (let i = 0; i < all.length; i += MOST) parts.push(this._part(() => ({ keys: all.slice(i, i + MOST), presence: {} })));
    this._next = parts;
    this._changed();
  }

  async more(n?: number): Promise<void> {
    await Promise.all(this._parts.map(p => p._list.more(n)));
  }

  leave(): void {
    this._end();
    this._changed();
  }

  /** A call of what this member does: locks. */
  _call(verb: string, data?: object): Promise<any> {
    return this._me ? this._me._call(verb, { ...this._me._secret, ...data }) : Promise.reject(new TypeError("live: who only looks has no lock"));
  }

  private _part(more: () => object): Part {
    const { limit } = this._options;
    const list = this._live.list<MemberRow>(this._where.router, limit ? { limit, order: "since" } : {}, more);
    return { _list: list, _off: list.subscribe(() => this._changed()) };
  }

  private _end(known = false): void {
    this._left = true;
    this._me?._leave(known);
    for (const p of [...this._parts, ...(this._next ?? [])]) p._off();
    this._uncount();
  }

  /** What comes in one turn is told together. */
  private _changed(): void {
    if (this._due) return;
    this._due = true;
    void Promise.resolve().then(() => {
      this._due = false;
      this._look();
      for (const tell of [...this._listeners]) tell();
    });
  }

  private _look(): void {
    if (this._next?.every(p => p._list.status.state !== "loading")) {
      for (const p of this._parts) p._off();
      this._parts = this._next;
      this._next = this._counter = undefined;
      this._uncount();
    }
    const states = this._parts.map(p => p._list.status), closed = states.filter(s => s.state === "closed");
    if (this._left) this.status = this.status.state === "closed" ? this.status : CLOSED;
    else if (closed.length && closed.length === states.length) this.status = closed[0]!;
    else if (states.some(s => s.error)) this.status = states.find(s => s.error)!;
    else this.status = states.some(s => s.state === "loading") || (this._next && !states.length) ? LOADING : LIVE;
    if (this.status.state === "closed" && !this._left) this._end(true);

    // What is not looked at any more stands in the present lists until the next ones are there.
    const rows = this._left ? [] : this._parts.flatMap(p => p._list.rows).filter(r => this._keys?.has(r.on) ?? true);
    const own = this._me && rows.find(r => r.id === this._me!._id);
    if (own) this._me!._seen(own);
    const places = new Map<string, MemberRow[]>(), me = mine(this._live);
    for (const row of rows) {
      const group = places.get(row.on);
      group ? group.push(row) : places.set(row.on, [row]);
    }
    for (const on of [...this._at.keys()]) places.has(on) || this._at.delete(on);
    for (const [on, group] of places) {
      const people = this._at.get(on) ?? new People();
      people._set(group, me);
      this._at.set(on, people);
    }
    this._all._set(rows, me);
    this.people = this._all._list;
    this._count();
  }

  /** Only where not all are known they have to be counted by the server. */
  private _count(): void {
    if (this._counter || this._left || !this.hasMore) return;
    const { router, channel, key } = this._where;
    const name = this._where.keys ? { keys: [...this._keys!] } : channel !== undefined ? { channel } : { key: String(key) };
    this._counter = this._live.count(router, {}, () => ({ ...name, presence: {} }));
    this._uncount = this._counter.subscribe(() => this._changed());
  }
}

export function presence(live: unknown, place: string | Where, key?: Key | readonly Key[] | PresenceOptions, options: PresenceOptions = {}): Here {
  const core = live as Core;
  if (typeof place !== "string") return new Here(core, place, (key as PresenceOptions | undefined) ?? {});
  return new Here(core, key instanceof Array ? { router: place, keys: key } : { router: place, key: key as Key }, options);
}
