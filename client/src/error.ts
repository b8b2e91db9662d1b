// LiveError: every refusal, whether of the server, of the network or of the client itself.

import type { LiveErrorLike, Problem } from "./types.ts";

export class LiveError extends Error implements LiveErrorLike {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: Record<string, string[]>;
  readonly current: Problem["current"];
  readonly changed: Problem["changed"];
  readonly conflicts: Problem["conflicts"];
  /** Milliseconds after which to ask again, for nothing was done; NaN if the server did not say. */
  _wait: number;

  constructor(problem: Problem) {
    const detail = problem.detail || problem.title || problem.code || "";
    super(detail);
    this.name = "LiveError";
    this.code = problem.code || "http";
    this.status = problem.status || 0;
    this.detail = detail;
    this.errors = problem.errors || {};
    this.current = problem.current;
    this.changed = problem.changed;
    this.conflicts = problem.conflicts;
    this._wait = 1000 * parseFloat(problem.retry_after as never);
  }
}

/** What the client itself has to say is short: every byte of it is sent to every browser. */
export const lost = (detail: string) => new LiveError({ code: "connection_lost", detail });

export const silent = () => lost("no answer");

export const broken = () => lost("connection closed");

/** A call was sent and its answer is lost: nobody knows. */
export const unknown = () => lost("no answer: it may have happened");

export const closed = () => new LiveError({ code: "closed", detail: "client closed" });

/** Whatever was thrown, as a LiveError. */
export const asError = (e: unknown): LiveError => (e instanceof LiveError ? e : lost(String(e)));

/** Calls a handler of the application: what it throws is reported and disturbs nobody else. */
export function guard<A extends unknown[]>(f: (...args: A) => void, ...args: A): void {
  try {
    f(...args);
  } catch (e) {
    (globalThis.reportError ?? console.error)(e);
  }
}

/** Calls f when the present turn is over: what happens in one turn is done with once. */
export function soon(f: () => void): void {
  void Promise.resolve().then(f);
}

/** The promise itself, which whoever awaits may see rejected, and which nobody has to: a rejection is no accident of the process. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
