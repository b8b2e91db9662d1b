// The message forms of docs/protocol.md.

import type { Problem, Where } from "./types.ts";

/** A server takes 100 messages at once besides subscribes, and 64 KiB: each counts as its characters, which may be three bytes, and EACH. */
const enum Size { LONG = 16_000, EACH = 160 }

export type Version = number | string | undefined;
export type Fields = Record<string, unknown>;

export interface WireRow {
  key: string;
  version?: number | string;
  fields: Fields;
}

export interface WireChange {
  op: "create" | "enter" | "update" | "leave" | "delete";
  key: string;
  version?: number | string;
  fields?: Fields;
  mutation?: string;
  /** What the application says of who made the change. */
  by?: unknown;
  /** The row's place in its window. A client that orders by itself has no use for it. */
  at?: number;
}

/** Where the rows stand that a row relates to: in the member that the row's `key` names, or in rows whose `field` names the row. */
export interface WireRelation {
  router: string;
  /** The field that holds the key of the other row, and (by) the field that this key is found in. Behind `through` of the row between. */
  key?: string;
  by?: string;
  /** The field of the other rows (of the rows between) that holds this row's key. */
  field?: string;
  /** The router of the rows between. */
  through?: string;
}

/** Members that are undefined are left out by JSON.stringify: the server refuses members that it does not know, not absent ones. */
export type SubscribeMessage = { type: "subscribe"; id: number; router?: string; channel?: string; where?: Where; order?: string; limit?: number; include?: readonly string[]; count?: true; key?: string; keys?: readonly string[]; presence?: object; cursor?: string | undefined; tag?: string | undefined; bound?: unknown[] | undefined };
export type ClientMessage =
  | SubscribeMessage
  | { type: "unsubscribe"; id: number }
  | { type: "publish"; id: number; channel: string; data: unknown }
  | { type: "call"; id: number; router: string; verb: string; key?: string; version?: number; data?: unknown; base?: object; where?: Where; order?: string; limit?: number; include?: readonly string[]; mutation?: string; retry?: string }
  | { type: "explain"; id: number; router: string; key: string; where?: Where }
  | { type: "ping"; id: number };

export interface SnapshotMessage {
  type: "snapshot" | "resync";
  id: number;
  query: string;
  cursor: string;
  reason?: string;
  /** Names what the caller may see. A router's list or count has it. */
  tag?: string;
  /** The effective order, ended by the key field: of an order, a limit or an include. */
  order?: string;
  limit?: number;
  more?: boolean;
  relations?: Record<string, WireRelation>;
  rows?: WireRow[];
  count?: number;
}

export interface ResultMessage {
  type: "result";
  id: number;
  cursor?: string;
  row?: WireRow;
  rows?: WireRow[];
  order?: string;
  relations?: Record<string, WireRelation>;
  data?: unknown;
  /** It was done, and its change is not on the log yet. */
  unsent?: true;
}

export type DataMessage =
  | { type: "change"; query: string; cursor: string; more?: boolean; whole?: true; changes: WireChange[] }
  | { type: "count"; query: string; cursor: string; count: number }
  | { type: "message"; query: string; cursor: string; messages: unknown[] };

export type ServerMessage =
  | { type: "hello"; protocol: number; session: string }
  | SnapshotMessage
  | { type: "resumed"; id: number; query: string; cursor: string }
  | DataMessage
  | { type: "cursor"; cursor: string }
  | ResultMessage
  | { type: "error"; id?: number; problem: Problem }
  | { type: "closed"; id: number; problem: Problem }
  | { type: "reconnect"; after: number; problem?: Problem }
  | { type: "status"; degraded: boolean }
  | { type: "pong"; id: number };

/** How many of the messages, from the first on, a server takes at once: not too many, and not too long unless the first alone is. */
export function together(messages: ClientMessage[]): number {
  let size = 0;
  // All of them is -1, which without its sign is more than there can be.
  return messages.findIndex((m, i) => (size += JSON.stringify(m).length + Size.EACH) > Size.LONG && i) >>> 0;
}

/** A text of messages, one a line. */
export const lines = (messages: ClientMessage[]) => messages.map(m => JSON.stringify(m)).join("\n");

/** The messages of a text, one a line. A line that is no message is skipped: the protocol lets a client ignore what it does not know. */
export function parse(text: string): ServerMessage[] {
  const out: ServerMessage[] = [];
  for (const line of text.split("\n")) {
    try {
      const m = line && (JSON.parse(line) as ServerMessage);
      if (m && m.type) out.push(m);
    } catch {}
  }
  return out;
}
