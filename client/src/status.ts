// The state of the connection, for the application to show.

import { guard } from "./error.ts";
import type { ConnectionStatus, Stop } from "./types.ts";

export class Status {
  current: ConnectionStatus = Object.freeze({ transport: undefined, connected: false, lag: undefined, error: undefined, degraded: false });
  private _listeners = new Set<(s: ConnectionStatus) => void>();

  subscribe(f: (s: ConnectionStatus) => void): Stop {
    // A function of its own, so that one handler may be given twice and taken back once.
    const listener = (s: ConnectionStatus) => f(s);
    this._listeners.add(listener);
    guard(listener, this.current);
    return () => void this._listeners.delete(listener);
  }

  _set(change: Partial<ConnectionStatus>): void {
    const was = this.current;
    if ((Object.keys(change) as (keyof ConnectionStatus)[]).every(k => was[k] === change[k])) return;
    this.current = Object.freeze({ ...was, ...change });
    for (const f of [...this._listeners]) guard(f, this.current);
  }
}
