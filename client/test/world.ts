// A client, a server and the time between them.

import { connect } from "../src/index.ts";
import type { Change, List, Live, Options, TransportName } from "../src/types.ts";
import { Clock } from "./clock.ts";
import { Server } from "./server.ts";

export type Todo = { id?: number; title: string; done?: boolean };

export interface World {
  server: Server;
  clock: Clock;
  live: Live;
  list: List<Todo>;
  /** Each change that the list's handler saw: op, key, cursor. */
  seen: string[];
  titles(): string;
  status(): string;
  /** Lets time pass in which the server says now and then that it is there. */
  pass(ms: number): Promise<void>;
}

export function world(options: Options = {}, server = new Server(), clock = new Clock()): World {
  const live = connect("http://host.test/live/", {
    WebSocket: server.WebSocket, fetch: server.fetch as typeof fetch, storage: null, env: clock.env, ...options,
  });
  const list = live.list<Todo>("todos", { where: { done: false } });
  const seen: string[] = [];
  list.on("change", (c: Change<Todo>) => seen.push("key" in c ? `${c.op} ${c.key} ${c.cursor}` : c.op === "resync" ? "resync " + c.reason : c.op));
  list.subscribe(() => {});
  return {
    server, clock, live, list, seen,
    async pass(ms) {
      for (; ms > 0; ms -= 25_000) {
        server.say({ type: "cursor", cursor: server.cursor() });
        await clock.advance(Math.min(ms, 25_000));
      }
    },
    titles: () => list.rows.map(r => r.title + (list.pending(r) ? "?" : "")).join(" "),
    status: () => `${live.status.current.transport ?? "none"}${live.status.current.error ? " " + live.status.current.error.code : ""}`,
  };
}

export const transports: TransportName[] = ["websocket", "sse", "longpoll", "shortpoll"];
