// The lock of a row as one of those who are there sees it: who has it, and the fencing token when that is this tab.

import type { Fields } from "./form.ts";
import type { Here } from "./presence.ts";
import type { Person } from "./types.ts";

/** Nobody has to look at a refusal. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

type Frozen = { readOnly?: boolean; disabled: boolean };

export class Lock {
  _token: string | undefined;
  private _here: Here;
  private _changed: () => void;
  /** The token was seen in the own row: when it is not there any more, the lock is lost. */
  private _known = false;
  private _asking = false;
  /** It was refused; asked for again when whoever has it lets go. */
  private _refused = false;
  private _frozen = new Map<Frozen, "readOnly" | "disabled">();

  constructor(here: Here, changed: () => void) {
    this._here = here;
    this._changed = changed;
  }

  get _holder(): Person | undefined {
    return this._here.people.find(p => p.metas.some(m => m.lock));
  }

  /** Whether somebody else has it, or another tab of this user. */
  get _other(): boolean {
    return !this._token && !!this._holder;
  }

  /** What the rows say of it. */
  _look(): void {
    const all = this._here.people.flatMap(p => p.metas), own = all.find(m => m.member === this._here.member);
    // Tokens are ordered. Somebody may have taken it over before it was ever seen here.
    if (all.some(m => m !== own && m.lock > (this._token ?? m.lock))) this._token = undefined;
    if (own?.lock) {
      this._token = own.lock;
      this._known = true;
    } else if (this._known) {
      this._token = undefined;
      this._known = false;
    }
    if (!this._holder) this._refused = false;
  }

  _take(verb: string): Promise<string> {
    return quiet(this._here._call(verb).then(({ lock }: { lock: string }) => {
      this._token = lock;
      this._refused = false;
      this._changed();
      return lock;
    }));
  }

  _drop(): Promise<void> {
    this._token = undefined;
    this._known = false;
    this._changed();
    return this._do("unlock");
  }

  _do(verb: string, data?: object): Promise<void> {
    return quiet(this._here._call(verb, data).then(() => {}));
  }

  /** Locks with the first change, and lets nobody type who does not have it while another has. */
  _guard(fields: Fields, dirty: boolean): void {
    if (dirty && !this._token && !this._holder && !this._asking && !this._refused) {
      this._asking = true;
      void this._take("lock").then(() => {}, () => (this._refused = true)).then(() => {
        this._asking = false;
        this._changed();
      });
    }
    if (!this._other) return this._free();
    for (const f of fields._all()) {
      for (const c of fields._controls(f) as Frozen[]) {
        // What can only be read can still be copied; a box or a list has to be disabled.
        const how = "readOnly" in c && !/^(checkbox|radio|range|color)$/.test((c as HTMLInputElement).type) ? "readOnly" : "disabled";
        if (c[how] || this._frozen.has(c)) continue;
        c[how] = true;
        this._frozen.set(c, how);
      }
    }
  }

  _free(): void {
    for (const [c, how] of this._frozen) c[how] = false;
    this._frozen.clear();
  }
}
