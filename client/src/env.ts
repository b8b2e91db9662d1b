// The surroundings: time, chance and events of the browser, each replaceable by a test.

import type { Env, Memory } from "./types.ts";

export function environment(over: Partial<Env> = {}): Env {
  const env: Env = {
    now: Date.now,
    setTimeout: (f, ms) => setTimeout(f, ms),
    clearTimeout: timer => clearTimeout(timer as number),
    random: Math.random,
    uuid: () => uuid7(env.now(), env.random),
    on(event, f) {
      const target: Partial<EventTarget> | undefined = event === "online" ? globalThis : globalThis.document;
      target?.addEventListener?.(event, f);
      return () => target?.removeEventListener?.(event, f);
    },
    hidden: () => !!globalThis.document?.hidden,
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
