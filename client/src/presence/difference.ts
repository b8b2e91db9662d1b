// The difference of two texts, word by word.

import type { Piece } from "./types.ts";

/** Texts with more words than this, besides those at both ends that are equal, are told as wholly different. */
const MOST = 1500;

const words = (text: string) => text.match(/\s+|[\p{L}\p{N}_]+|[^]/gu) ?? [];

export function difference(theirs: string, mine: string): Piece[] {
  const a = words(theirs), b = words(mine), out: Piece[] = [];
  const add = (is: Piece["is"], text: string) => {
    const last = out[out.length - 1];
    if (last?.is === is) last.text += text;
    else if (text) out.push({ is, text });
  };
  let head = 0, tail = 0;
  while (head < a.length && a[head] === b[head]) head++;
  while (tail < Math.min(a.length, b.length) - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail), y = b.slice(head, b.length - tail);
  add("both", a.slice(0, head).join(""));
  if (x.length > MOST || y.length > MOST) {
    add("theirs", x.join(""));
    add("mine", y.join(""));
  } else {
    // The longest common sequence, from the end on.
    const size = y.length + 1, longest = new Uint16Array((x.length + 1) * size);
    for (let i = x.length - 1; i >= 0; i--) {
      for (let j = y.length - 1; j >= 0; j--) {
        longest[i * size + j] = x[i] === y[j] ? longest[(i + 1) * size + j + 1]! + 1 : Math.max(longest[(i + 1) * size + j]!, longest[i * size + j + 1]!);
      }
    }
    for (let i = 0, j = 0; i < x.length || j < y.length; ) {
      if (i < x.length && j < y.length && x[i] === y[j]) add("both", (j++, x[i++]!));
      else if (i < x.length && (j === y.length || longest[(i + 1) * size + j]! >= longest[i * size + j + 1]!)) add("theirs", x[i++]!);
      else add("mine", y[j++]!);
    }
  }
  add("both", a.slice(a.length - tail).join(""));
  return out;
}
