// A list of two rows, what becomes of it line by line, and what a server says to its writes.

import type { List } from "../src/types.ts";
import type { ClientMessage } from "../src/wire.ts";
import { settle } from "./clock.ts";
import { Script, outcome } from "./script.ts";

export type Todo = { id?: number; title: string; done?: boolean; n?: number | null };

export async function scene(order?: string, more = {}): Promise<{ s: Script; list: List<Todo>; shown: string[]; errors: string[] }> {
  const s = new Script();
  const list = s.live.list<Todo>("todos", order ? { order } : {});
  const shown: string[] = [], errors: string[] = [];
  // Each notification as one line: what a person would have seen, flickers and all.
  list.subscribe(rows => shown.push(rows.map(r => r.title + (list.pending(r) ? "?" : "")).join(" ")));
  list.on("error", e => errors.push(e.code));
  await s.hello();
  await s.snapshot("e.10", ["1", 1, { id: 1, title: "a", n: 1, ...more }], ["2", 1, { id: 2, title: "b", n: 2, ...more }]);
  shown.length = 0;
  return { s, list, shown, errors };
}

export const result = (s: Script, more: object) => s.say({ type: "result", id: s.last("call").id, ...more } as never);
export const refuse = (s: Script, problem: object) => s.say({ type: "error", id: s.last("call").id, problem });

/** A create whose answer was lost with the connection, after which the client came back. */
export async function broken(): Promise<Awaited<ReturnType<typeof scene>> & { p: { is: unknown }; mutation: string; calls: () => Call[] }> {
  const c = await scene();
  const p = outcome(c.list.create({ title: "c" }));
  await settle(2);
  const mutation = c.s.last("call").mutation!;
  c.s.socket.drop();
  await c.s.clock.advance(1000);
  await c.s.hello();
  return { ...c, p, mutation, calls: () => c.s.sent.filter(m => m.type === "call") };
}

export type Call = Extract<ClientMessage, { type: "call" }>;
export const milk = { key: "3", version: 1, fields: { id: 3, title: "c" } };
