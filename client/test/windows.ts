// A list with a limit, what it shows and what it asks for.

import type { List } from "../src/types.ts";
import type { ClientMessage, WireChange } from "../src/wire.ts";
import { Script } from "./script.ts";

export type Todo = { id: number; n: number | null; title?: string };
export type Subscribe = Extract<ClientMessage, { type: "subscribe" }>;

export const row = (id: number, n: number | null) => ({ key: String(id), version: 1, fields: { id, n } });
export const enter = (id: number, n: number | null): WireChange => ({ op: "enter", ...row(id, n) });
export const leave = (id: number, version = 1): WireChange => ({ op: "leave", key: String(id), version });

export interface Scene {
  s: Script;
  list: List<Todo>;
  shown: string[];
  /** What the list holds, and what it would ask for now. */
  ids(): string;
  change(cursor: string, changes: WireChange[], more?: boolean): Promise<void>;
  /** Breaks the connection, and returns what the client asks for with the next. */
  resume(): Promise<Subscribe>;
}

/** A window of three rows by n, the smallest first, and the rows 1 to 3 with n 10 to 30. */
export async function scene(more = true, limit = 3): Promise<Scene> {
  const s = new Script();
  const list = s.live.list<Todo>("todos", { order: "n", limit });
  const shown: string[] = [];
  const ids = () => list.rows.map(r => (r.id ?? "new") + (list.pending(r) ? "?" : "")).join(" ") + (list.hasMore ? " …" : "");
  list.subscribe(() => shown.push(ids()));
  await s.hello();
  await s.say({ type: "snapshot", id: 1, query: "q", cursor: "e.10", order: "n,id", more, rows: [row(1, 10), row(2, 20), row(3, 30)] });
  shown.length = 0;
  return {
    s, list, shown, ids,
    change: (cursor, changes, more) => s.say({ type: "change", query: "q", cursor, ...(more !== undefined && { more }), changes }),
    async resume() {
      await s.again();
      return s.last("subscribe");
    },
  };
}
