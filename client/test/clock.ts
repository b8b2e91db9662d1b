// A clock that stands still until it is told to go on, and chance that is the same each time.

import type { Env } from "../src/types.ts";

/** Lets everything that is under way without a timer happen: promises, streams, in-process answers. */
export async function settle(turns = 12): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise(resolve => setImmediate(resolve));
}

export class Clock {
  time = 1_700_000_000_000;
  isHidden = false;
  /** Who waits for the next frame, when there are frames. */
  frames: (() => void)[] | undefined;
  /** How many turns what is under way gets at each timer. */
  turns = 12;
  private timers = new Map<number, { at: number; f: () => void }>();
  private last = 0;
  private seed: number;
  private listeners = new Map<string, Set<() => void>>();

  constructor(seed = 1) {
    this.seed = seed;
  }

  env: Env = {
    now: () => this.time,
    setTimeout: (f, ms) => {
      this.timers.set(++this.last, { at: this.time + Math.max(0, ms), f });
      return this.last;
    },
    clearTimeout: t => void this.timers.delete(t as number),
    random: () => this.random(),
    uuid: () => "m" + ++this.last,
    on: (event, f) => {
      const all = this.listeners.get(event) ?? new Set();
      this.listeners.set(event, all.add(f));
      return () => all.delete(f);
    },
    hidden: () => this.isHidden,
    // As where nothing is painted, until a test wants frames.
    frame: f => void (this.frames ? this.frames.push(f) : Promise.resolve().then(f)),
  };

  random(): number {
    // mulberry32
    let t = (this.seed += 0x6d2b79f5);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** The page is about to be painted. */
  async paint(): Promise<void> {
    for (const f of this.frames!.splice(0)) f();
    await settle(2);
  }

  fire(event: string): void {
    for (const f of [...(this.listeners.get(event) ?? [])]) f();
  }

  get pending(): number {
    return this.timers.size;
  }

  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle(this.turns);
    for (;;) {
      let first: [number, { at: number; f: () => void }] | undefined;
      for (const t of this.timers) if (t[1].at <= end && (!first || t[1].at < first[1].at)) first = t;
      if (!first) break;
      this.timers.delete(first[0]);
      this.time = Math.max(this.time, first[1].at);
      first[1].f();
      await settle(this.turns);
    }
    this.time = end;
  }
}
