// Editing: a form on a row that others may edit, too. It follows the row and who is there, says what its user does, and saves.

import type { Core } from "../hook.ts";
import type { FeedStatus, Key, List, LiveErrorLike, Problem, Stop } from "../types.ts";
import { Draft, notAfter, type Row } from "./draft.ts";
import { Fields } from "./form.ts";
import { Lock } from "./lock.ts";
import { Here, guard } from "./presence.ts";
import { copyText, copyButton } from "./copy.ts";
import type { Conflict, Editing, EditingOptions, Gone, Person, Save } from "./types.ts";

/** How long a conflict has to be on the screen before the button below means it; and how often a save is tried that others overtake without a conflict. */
const enum Ms { SEEN = 700, IDLE = 60_000 }
const enum Most { TRIES = 3 }

/** Stands for the server's error where the client knows without asking. */
function refusal(code: string, status: number, detail: string): LiveErrorLike {
  return Object.assign(new Error(detail), { name: "LiveError", code, status, detail, errors: {}, current: undefined, changed: undefined, conflicts: undefined });
}

export class Form implements Editing {
  readonly presence: Here;
  saving = false;
  private _live: Core;
  private _router: string;
  private _key: string;
  private _options: EditingOptions;
  private _list!: List<Row>;
  private _draft: Draft;
  private _lock: Lock;
  private _button: HTMLButtonElement | HTMLInputElement | undefined;
  private _text = "";
  /** Saves one after the other. */
  private _queue: Promise<unknown> = Promise.resolve();
  private _offs: Stop[] = [];
  private _unfollow: Stop = () => {};
  private _gone: Gone | undefined;
  /** The row is not there. */
  private _missing = false;
  private _reason: Gone = "deleted";
  private _by: unknown;
  private _field: string | undefined;
  private _idle = false;
  private _timer: unknown;
  /** The conflicts that were told, and since when. */
  private _told = new Map<string, Conflict>();
  private _since = 0;
  private _due = false;
  private _closed = false;

  constructor(live: Core, router: string, key: Key, options: EditingOptions) {
    const { form, name, parse, onPeople } = (this._options = options);
    this._live = live;
    this._router = router;
    this._key = String(key);
    this._draft = new Draft(new Fields(form, options.fields), parse);
    this.presence = new Here(live, { router, key }, { ...(name && { name }) });
    this._lock = new Lock(this.presence, () => this._changed());
    this._button = form && ([...form.elements] as HTMLButtonElement[]).find(c => c.type === "submit" && plain(c));
    this._on("input", e => this._input(e));
    this._on("change", e => this._input(e));
    this._on("submit", e => this._submit(e as SubmitEvent));
    // The browser resets the form when this is over.
    this._on("reset", () => void live.hook.env.setTimeout(() => this._closed || this.discard(), 0));
    this._on("compositionstart", e => (this._draft._composing = named(e)));
    this._on("compositionend", () => {
      this._draft._composing = undefined;
      const { _row, _version } = this._draft;
      if (_row) this._draft._merge(_row, _version, () => this._by);
      this._changed();
    });
    this._offs.push(this.presence.subscribe((people, status) => {
      guard(onPeople as (p: readonly Person[], s: FeedStatus) => void, people, status);
      this._lock._look();
      this._changed();
    }));
    this._follow(/^\d{1,15}$/.test(this._key) ? Number(key) : this._key);
    this._changed();
  }

  get state(): Editing["state"] {
    if (this._gone) return "gone";
    return !this.dirty.length ? "viewing" : this._idle ? "idle" : "editing";
  }

  get row(): Readonly<Row> | undefined {
    return this._draft._row;
  }

  get version(): Editing["version"] {
    return this._draft._version;
  }

  get dirty(): readonly string[] {
    return this._draft._dirty;
  }

  get conflicts(): readonly Conflict[] {
    return [...this._draft._clashes.values()];
  }

  get text(): string {
    const { _fields } = this._draft;
    return _fields._all().map(f => {
      const text = _fields._text(f);
      return `${_fields._label(f)}:${text.includes("\n") ? "\n" : " "}${text}`;
    }).join("\n\n");
  }

  get holder(): Person | undefined {
    return this._lock._holder;
  }

  get token(): string | undefined {
    return this._lock._token;
  }

  save(): Promise<object | undefined> {
    const saved = this._queue.then(() => this._save(Most.TRIES));
    this._queue = saved.catch(() => {});
    return saved;
  }

  saveAnyway(): Promise<object | undefined> {
    // One that came in this very turn was not told yet.
    for (const [f, c] of this._told) if (this._draft._clashes.get(f) === c) this._draft._keep(f);
    this._changed();
    return this.save();
  }

  keep(field: string): void {
    this._draft._keep(field);
    this._changed();
  }

  take(field: string): void {
    this._draft._take(field);
    this._changed();
  }

  discard(): void {
    for (const f of this._draft._fields._all()) this._draft._take(f);
    this._changed();
  }

  copy(): Promise<boolean> {
    return copyText(this.text);
  }

  copyButton(label?: string, done?: string): HTMLButtonElement {
    return copyButton(() => this.text, label, done);
  }

  lock(): Promise<string> {
    return this._lock._take("lock");
  }

  takeOver(): Promise<string> {
    return this._lock._take("takeover");
  }

  unlock(): Promise<void> {
    return this._lock._drop();
  }

  request(): Promise<void> {
    return this._lock._do("request");
  }

  handOver(member: string): Promise<void> {
    return this._lock._do("handover", { to: member });
  }

  close(): void {
    if (this._closed) return;
    this._closed = true;
    this._unfollow();
    for (const off of this._offs.splice(0)) off();
    this._live.hook.env.clearTimeout(this._timer);
    this._lock._free();
    this._say("");
    this.presence.leave();
  }

  private _on(event: string, f: (e: Event) => void): void {
    const { form } = this._options;
    form?.addEventListener(event, f);
    this._offs.push(() => form?.removeEventListener(event, f));
  }

  /** Follows the row. Whether its key is a number or a text only the server knows. */
  private _follow(key: Key): void {
    const list = (this._list = this._live.list<Row>(this._router, { where: { [this._options.keyField ?? "id"]: key } }));
    const offs = [
      list.on("change", c => {
        this._by = "by" in c ? c.by : undefined;
        if (c.op === "leave" || (c.op === "resync" && c.reason === "rights")) this._reason = "forbidden";
        else if (c.op !== "update") this._reason = "deleted";
      }),
      list.subscribe((_, { error }) => {
        if (this._closed) return;
        if (error?.code === "invalid_value" && typeof key === "number") {
          offs.forEach(off => off());
          this._follow(String(key));
        } else {
          this._news();
        }
      }),
    ];
    this._unfollow = () => offs.forEach(off => off());
  }

  /** What the list has: what is older than what the server answered to a save is only late, and while one is under way everything waits for its answer. */
  private _news(): void {
    const { state, error } = this._list.status, row = this._list.rows[0], draft = this._draft;
    if (this.saving || state === "loading") return;
    if (error) return this._lose(error.status === 404 ? "deleted" : "forbidden", true);
    if (state === "closed") return;
    if (!row) return this._lose(this._reason, true);
    if (this._list.pending(row)) return;
    if (this._missing) this._gone = undefined;
    this._missing = false;
    const version = this._list.version(row), first = !draft._row, came = draft._version;
    if (notAfter(version, came) && !(first && version === came)) return this._changed();
    const changed = draft._merge(row, version, () => this._by);
    if (!first && changed.length) this._saved(version, this._by, changed, false);
    this._changed();
  }

  private _saved(version: Editing["version"], by: unknown, changed: string[], own: boolean): void {
    // The version itself is no news.
    changed = changed.filter(f => this._draft._row![f] !== version);
    guard(this._options.onSaved, { version, by, changed, own });
  }

  private _lose(reason: Gone, missing: boolean): void {
    this._missing ||= missing;
    if (this._gone) return;
    this._gone = reason;
    this._changed();
    guard(this._options.onGone, reason, this.text);
  }

  private _input(e: Event): void {
    const name = named(e), { env } = this._live.hook;
    if (name && this.dirty.includes(name)) this._field = name;
    this._idle = false;
    env.clearTimeout(this._timer);
    this._timer = env.setTimeout(() => {
      this._idle = true;
      this._changed();
    }, this._options.idleAfter ?? Ms.IDLE);
    this._changed();
  }

  private _submit(e: SubmitEvent): void {
    // As long as the row is not known the form works as one without a script; so does a button that means something else.
    if (this._options.submit === false || !this._draft._row || (e.submitter && !plain(e.submitter))) return;
    e.preventDefault();
    const seen = this._told.size && this._live.hook.env.now() - this._since >= Ms.SEEN;
    (seen ? this.saveAnyway() : this.save()).catch((e: LiveErrorLike) => {
      if (e.code !== "conflict" && !this._gone) guard(this._options.onError, e);
    });
  }

  private async _save(tries: number): Promise<object | undefined> {
    const draft = this._draft;
    if (this._gone) throw refusal("not_found", 404, "the object is gone");
    if (draft._clashes.size) {
      this._told.clear();
      this._changed();
      throw refusal("conflict", 409, "somebody else changed the same fields");
    }
    if (this._options.lock && this._lock._other) throw refusal("locked", 409, "somebody else has the lock");
    const { data, base, texts } = draft._changes();
    if (!texts.size) return;
    const version = typeof draft._version === "number" ? draft._version : undefined;
    this.saving = true;
    this._changed();
    try {
      const row = await this._send({ key: this._key, version, data, base, lock: this.token });
      this.saving = false;
      const now = (row ?? { ...draft._row, ...data }) as Row, newer = (row && this._list.version(now)) ?? draft._version;
      const changed = draft._merge(now, newer, () => this._by, texts);
      if (this._options.lock && !draft._dirty.length && this.token) void this.unlock();
      this._saved(newer, undefined, changed, true);
      this._news();
      return row;
    } catch (e) {
      this.saving = false;
      const again = this._refused(e as LiveErrorLike, data, tries);
      this._news();
      if (again && !draft._clashes.size) return this._save(tries - 1);
      throw e;
    }
  }

  private _send(save: Save): Promise<object | undefined> {
    if (this._options.save) return this._options.save(save);
    const { key, version, data, base } = save;
    return this._live.call<object>(this._router, "update", { key, version: version!, data, base });
  }

  /** Whether the save may be said again, because what others did is merged by now. */
  private _refused(e: LiveErrorLike, data: Row, tries: number): boolean {
    const { current, changed, conflicts } = e, draft = this._draft;
    this._changed();
    // The list may know why already.
    if (e.code === "not_found") this._lose(this._list.rows[0] ? "deleted" : this._reason, false);
    else if (e.code === "forbidden") this._lose("forbidden", false);
    else if (e.code === "conflict" && current) {
      const was = draft._version, by = (f: string) => (changed as Problem["changed"])?.[f]?.by;
      const fields = notAfter(current.version, was) ? [] : draft._merge(current.fields, current.version, by);
      if (fields.length) this._saved(current.version, by(fields[0]!), fields, false);
      if (draft._clashes.size) return false;
      if (tries > 1) return true;
      // What looks the same here is not the same for the server: the user has to decide.
      for (const f of conflicts ?? Object.keys(data)) draft._clash(f, current.fields[f], current.version, by(f));
    }
    return false;
  }

  /** All that changes in one turn is told together. */
  private _changed(): void {
    if (this._due || this._closed) return;
    this._due = true;
    void Promise.resolve().then(() => {
      this._due = false;
      if (!this._closed) this._tell();
    });
  }

  private _tell(): void {
    const { _clashes } = this._draft, { anyway = "Save anyway", lock, onConflict, onChange } = this._options, { dirty, state } = this;
    if (!dirty.length) this._idle = false;
    if (!dirty.includes(this._field!)) this._field = dirty[dirty.length - 1];
    this.presence.set(this._field && dirty.length ? { state, field: this._field } : { state });
    this._say(_clashes.size ? anyway : "");
    if (this._button) this._button.disabled = !!this._gone;
    if (lock) this._lock._guard(this._draft._fields, dirty.length > 0);
    const told = this._told;
    if (_clashes.size !== told.size || [..._clashes].some(([f, c]) => told.get(f) !== c)) {
      this._told = new Map(_clashes);
      this._since = this._live.hook.env.now();
      guard(onConflict, this.conflicts);
    }
    guard(onChange, this);
  }

  /** Says something else on the button, or what stood there. */
  private _say(text: string): void {
    const button = this._button as HTMLInputElement | undefined;
    if (!button || (!text && !this._text)) return;
    const of = button.tagName === "INPUT" ? "value" : "textContent";
    this._text ||= button[of] || "Save";
    button[of] = text || this._text;
    if (!text) this._text = "";
  }
}

const plain = (c: HTMLElement) => !(c as HTMLButtonElement).name && !c.hasAttribute("formaction");

const named = (e: Event) => (e.target as { name?: string } | null)?.name || undefined;

export const editing = (live: unknown, router: string, key: Key, options: EditingOptions = {}): Form => new Form(live as Core, router, key, options);
