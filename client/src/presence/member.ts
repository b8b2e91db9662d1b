// A member: this tab at one place. It says what it does, whether it is looked at, and when it goes.
//
// What is to be said goes with each subscribe message; what changes later is a call, one at a time, with what is the newest when it is
// sent. So after each answer it is known whether the server has the newest, whatever was lost on the way.

import type { Core } from "../hook.ts";
import type { LiveErrorLike } from "../types.ts";
import type { State } from "./types.ts";

/** After which time a set that failed is tried again, and a row that tells something else is not only late. */
const enum Ms { AGAIN = 3000 }

/** The members of a client that are in this tab. */
const members = new WeakMap<object, Set<string>>();

export function mine(live: object): Set<string> {
  const set = members.get(live) ?? new Set();
  members.set(live, set);
  return set;
}

/** A secret of 32 characters that may stand in a URL. */
function secret(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_");
}

export class Member {
  _id: string;
  _state: State;
  private _token = secret();
  private _live: Core;
  private _router: string;
  /** Subscribes anew. */
  private _rejoin: () => void;
  /** What was said last of state and away; and for what it was looked whether it is so. */
  private _said = "";
  private _checked = "";
  private _busy = false;
  /** The page is hidden for good, or for the browser to keep: it may come back. */
  private _gone = false;
  private _timer: unknown;
  private _offs: (() => void)[];

  constructor(live: Core, router: string, state: State, rejoin: () => void) {
    this._live = live;
    this._router = router;
    this._rejoin = rejoin;
    const { env } = live.hook;
    this._id = env.uuid();
    this._state = checked(state);
    mine(live).add(this._id);
    this._offs = [
      env.on("visibilitychange", () => this._changed()),
      env.on("pagehide", () => this._hide()),
      env.on("pageshow", () => this._gone && this._show()),
      // It was frozen, and its lease may be over.
      env.on("resume", () => this._show()),
      live.status.subscribe(() => this._changed()),
    ];
  }

  /** The presence of a subscribe message. A page that went must not come again by what was still under way. */
  _presence(): object {
    if (this._gone) return {};
    this._said = this._text;
    return { ...this._secret, ...this._now };
  }

  _set(state: State): void {
    this._state = checked(state);
    this._changed();
  }

  /** Sends what is new, once the present turn is over: the page may be told several things in one. */
  _changed(): void {
    void Promise.resolve().then(() => void this._send());
  }

  /**
   * What the server says of it. Should that be something else for longer than news take, then a subscribe message and a call that were under
   * way together have overtaken each other. Once for what is said: the server may write it in another way.
   */
  _seen({ state, away }: { state: State; away: boolean }): void {
    const said = this._text;
    if (this._gone || said === this._checked || JSON.stringify({ state, away }) === said) return;
    this._again(() => {
      if (this._said !== this._text) return;
      this._checked = this._text;
      this._said = "?";
    });
  }

  /** It is over. It says so, unless the server knows. */
  _leave(known = false): void {
    if (!this._offs.length) return;
    for (const off of this._offs.splice(0)) off();
    this._live.hook.env.clearTimeout(this._timer);
    mine(this._live).delete(this._id);
    // Without a connection its stream, or its lease, will be over before this could arrive.
    if (!known && !this._gone && this._connected) void this._call("leave", this._secret).catch(() => {});
    this._gone = true;
  }

  _call(verb: string, data: object): Promise<any> {
    return this._live.call(this._router, verb, { data });
  }

  /** What a call has to say for the server to know it. */
  get _secret(): { member: string; token: string } {
    return { member: this._id, token: this._token };
  }

  private get _now(): { state: State; away: boolean } {
    return { state: this._state, away: this._live.hook.env.hidden() };
  }

  private get _text(): string {
    return JSON.stringify(this._now);
  }

  private get _connected(): boolean {
    return this._live.status.current.connected;
  }

  private async _send(): Promise<void> {
    const said = this._text;
    // Before the first subscribe message there is nobody to be changed; without a connection the next one says it.
    if (this._busy || this._gone || !this._said || !this._connected || said === this._said) return;
    this._busy = true;
    const failed = await this._call("set", { ...this._secret, ...this._now }).then(() => undefined, (e: LiveErrorLike) => e);
    this._busy = false;
    if (this._gone) return;
    if (failed?.code === "not_found") return this._rejoin();
    // A subscribe message that was sent meanwhile may have been handled before: the call counts, and what is new is said again.
    if (failed) return this._again();
    this._said = said;
    void this._send();
  }

  private _again(first = () => {}): void {
    const { env } = this._live.hook;
    env.clearTimeout(this._timer);
    this._timer = this._connected && env.setTimeout(() => {
      first();
      void this._send();
    }, Ms.AGAIN);
  }

  private _hide(): void {
    if (this._gone) return;
    this._gone = true;
    const { env, url, options } = this._live.hook;
    env.clearTimeout(this._timer);
    const body = JSON.stringify({ type: "call", id: 1, router: this._router, verb: "leave", data: this._secret });
    const headers = typeof options.headers === "function" ? options.headers() : options.headers;
    try {
      if (!headers && globalThis.navigator?.sendBeacon?.(url, new Blob([body], { type: "application/json" }))) return;
      // A beacon carries no headers, and what the application signs in with may be one.
      const { fetch = globalThis.fetch, credentials = "same-origin" } = options;
      void fetch(url, { method: "POST", body, keepalive: true, credentials, headers: { ...headers, "Content-Type": "application/json", Accept: "application/x-ndjson" } }).catch(() => {});
    } catch {}
  }

  private _show(): void {
    if (!this._offs.length) return;
    this._gone = false;
    this._rejoin();
  }

}

function checked(state: State): State {
  const text = JSON.stringify(state);
  if (!state || typeof state !== "object" || state instanceof Array) throw new TypeError("live: a state is an object");
  if (new TextEncoder().encode(text).length > 1024) throw new TypeError("live: a state has 1 KiB at most");
  return Object.freeze(JSON.parse(text)) as State;
}
