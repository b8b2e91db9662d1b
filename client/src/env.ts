// The surroundings: time, chance and events of the browser, each replaceable by a test.

import { soon } from "./error.ts";
import type { Env, Memory } from "./types.ts";

export function environment(over: Partial<Env> = {}): Env {
  const env: Env = {
    now: Date.now,
    setTimeout: (f, ms) => setTimeout(f, ms),
    clearTimeout: timer => clearTimeout(timer as number),
    random: Math.random,
    uuid: () => uuid7(env.now(), env.random),
    on(event, f) {
      const target: Partial<EventTarget> | undefined = event === "visibilitychange" ? globalThis.document : globalThis;
      target?.addEventListener?.(event, f);
      return () => target?.removeEventListener?.(event, f);
    },
    hidden: () => !!globalThis.document?.hidden,
    frame(f) {
      if (!globalThis.requestAnimationFrame) return soon(f);
      // A tab that is hidden has no frames, nor has a part of the page that is out of sight.
      const both = () => (cancelAnimationFrame(frame), clearTimeout(timer), f());
      const frame = requestAnimationFrame(both), timer = setTimeout(both, 250);
    },
    ...over,
  };
  return env;
}

/** A UUID of version 7. It tells own writes from others' and guards nothing, so any source of chance will do. */
export function uuid7(now: number, random: () => number): string {
  const time = now.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7xxx-yxxx-xxxxxxxxxxxx`.replace(/[xy]/g, c =>
    Math.floor(c === "x" ? random() * 16 : 8 + random() * 4).toString(16));
}

/** A memory that never throws: a browser may refuse localStorage, even to be named. */
export function memory(given: Memory | null | undefined): Memory {
  const careful = <T>(f: () => T): T | null => {
    try {
      return f();
    } catch {
      return null;
    }
  };
  const store = given === undefined ? careful(() => globalThis.localStorage) : given;
  return {
    getItem: key => careful(() => store?.getItem(key) ?? null),
    setItem: (key, value) => void careful(() => store?.setItem(key, value)),
  };
}
