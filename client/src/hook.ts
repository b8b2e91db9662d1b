// What presence.js builds on, which is built and minified for itself: names that the build leaves as they are. An application has no
// use for it.

import type { AnyLive, Count, Env, List, ListOptions, Options } from "./types.ts";

/** Further members of a subscribe message, asked for at each sending: what they say changes, what is subscribed to does not. */
export type More = () => object;

export interface Core extends AnyLive {
  readonly hook: {
    readonly env: Env;
    readonly options: Options;
    /** The hub's. */
    readonly url: string;
  };
  /** Lists (counts) whose members were the same when they were made are one. */
  list<T extends object>(router: string | undefined, options?: ListOptions, more?: More): List<T> & { again(): void };
  count(router: string | undefined, options?: object, more?: More): Count;
}
