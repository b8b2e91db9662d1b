// @swampline/live: the client of live, for browsers and Node.

import { Client } from "./client.ts";
import type { Live, Options } from "./types.ts";

export { LiveError } from "./error.ts";
export { keyOf } from "./rows.ts";
export type * from "./types.ts";

/** Connects to the hub at url. It keeps trying until close is called; what is asked of it meanwhile waits. */
export function connect(url: string, options: Options = {}): Live {
  return new Client(url, options);
}
