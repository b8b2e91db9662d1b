// The message forms of docs/protocol.md.

import type { Problem, Where } from "./types.ts";

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
}

export type Verb = "list" | "get" | "create" | "update" | "delete";

/** Members that are undefined are left out by JSON.stringify: the server refuses members that it does not know, not absent ones. */
export type ClientMessage =
  | { type: "subscribe"; id: number; router?: string; channel?: string; where?: Where; order?: string; cursor?: string }
  | { type: "unsubscribe"; id: number }
  | { type: "publish"; id: number; channel: string; data: unknown }
  | { type: "call"; id: number; router: string; verb: Verb; key?: string; version?: number; data?: unknown; where?: Where; order?: string; mutation?: string }
  | { type: "ping"; id: number };

export interface SnapshotMessage {
  type: "snapshot" | "resync";
  id: number;
  query: string;
  cursor: string;
  reason?: string;
  rows?: WireRow[];
}

export interface ResultMessage {
  type: "result";
  id: number;
  cursor?: string;
  row?: WireRow;
  rows?: WireRow[];
}

export type DataMessage =
  | { type: "change"; query: string; cursor: string; changes: WireChange[] }
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
  | { type: "reconnect"; after: number }
  | { type: "status"; degraded: boolean }
  | { type: "pong"; id: number };

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
