// Cursors and versions: which of two is the later one.

import type { Version } from "./wire.ts";

const epoch = (cursor: string) => cursor.split(".", 1)[0];

/** Whether position a is after b. No position is before all; cursors of different epochs have no order, so neither is after the other. */
export function after(a: string, b: string | undefined): boolean {
  return b === undefined || (epoch(a) === epoch(b) && a > b);
}

/** Whether version a is known to be before b: two numbers, or two cursors of one epoch. Other pairs tell nothing. */
export function older(a: Version, b: Version): boolean {
  return typeof a === typeof b && (typeof a === "string" ? after(b as string, a) : (a as number) < (b as number));
}
