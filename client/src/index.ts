// @swampline/live: the client of live, for browsers and Node.

import { Client } from "./client.ts";
import type { AnyLive, Live, Options } from "./types.ts";

export { LiveError } from "./error.ts";
export { keyOf } from "./rows.ts";
export type * from "./types.ts";

/** Connects to the hub at url. It keeps trying until close is called; what is asked of it meanwhile waits. */
export function connect<S = undefined>(url: string, options: Options = {}): Live<S> {
  return new Client(url, options) as AnyLive as Live<S>;
}
