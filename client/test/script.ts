// A server that says only what a test makes it say, over a WebSocket that does what a test makes it do.

import { connect } from "../src/index.ts";
import type { Live, Options } from "../src/types.ts";
import type { ClientMessage, ServerMessage } from "../src/wire.ts";
import { Clock, settle } from "./clock.ts";

export class Script {
  clock = new Clock();
  sockets: { send: (m: ServerMessage | string) => void; drop: () => void; url: string; closed: boolean; sent: ClientMessage[] }[] = [];
  sent: ClientMessage[] = [];
  /** Each frame as it came. */
  heard = (_text: string) => {};
  live: Live;

  constructor(options: Options = {}) {
    const script = this;
    class Socket {
      onmessage?: (e: { data: string }) => void;
      onclose?: () => void;
      entry: Script["sockets"][number];
      constructor(url: string) {
        this.entry = {
          url,
          closed: false,
          sent: [],
          send: m => this.onmessage?.({ data: typeof m === "string" ? m : JSON.stringify(m) }),
          drop: () => this.onclose?.(),
        };
        script.sockets.push(this.entry);
      }
      send(text: string) {
        script.heard(text);
        for (const line of text.split("\n")) {
          script.sent.push(JSON.parse(line));
          this.entry.sent.push(JSON.parse(line));
        }
      }
      close() {
        this.entry.closed = true;
      }
    }
    this.live = connect("http://host.test/live/", { WebSocket: Socket as never, transport: "websocket", storage: null, env: this.clock.env, ...options });
  }

  get socket(): Script["sockets"][number] {
    return this.sockets[this.sockets.length - 1]!;
  }

  /** The last message of a type that the client sent. */
  last<K extends ClientMessage["type"]>(type: K): Extract<ClientMessage, { type: K }> {
    const m = this.sent.filter(m => m.type === type).pop();
    if (!m) throw new Error(`no ${type} was sent`);
    return m as never;
  }

  async hello(): Promise<void> {
    await settle(2);
    this.socket.send({ type: "hello", protocol: 1, session: "s" });
    await settle(2);
  }

  /** Breaks the connection, and lets the client come back. */
  async again(): Promise<void> {
    const { length } = this.sockets;
    this.socket.drop();
    while (this.sockets.length === length) await this.clock.advance(100);
    await this.hello();
  }

  async say(...all: (ServerMessage | string)[]): Promise<void> {
    for (const m of all) this.socket.send(m);
    await settle(2);
  }

  /** Answers the last subscribe. */
  async snapshot(cursor: string, ...rows: [key: string, version: number, fields: object][]): Promise<void> {
    const { id } = this.last("subscribe");
    await this.say({ type: "snapshot", id, query: "q", cursor, rows: rows.map(([key, version, fields]) => ({ key, version, fields: fields as never })) });
  }

  async change(cursor: string, op: string, key: string, version: number, fields?: object, mutation?: string): Promise<void> {
    await this.say({ type: "change", query: "q", cursor, changes: [{ op, key, version, fields, mutation } as never] });
  }
}

/** Fails when one of them still waits, instead of waiting with it for ever. */
export async function over(all: Promise<unknown>[]): Promise<void> {
  const outcomes = all.map(outcome);
  await settle();
  const waiting = outcomes.flatMap((o, i) => (o.is === "waits" ? [i] : []));
  if (waiting.length) throw new Error(`of ${all.length} promises those still wait: ${waiting}`);
}

/** Where a promise stands: its value, its error's code, or that it waits. */
export function outcome(p: Promise<unknown>): { is: unknown } {
  const out: { is: unknown } = { is: "waits" };
  p.then(v => (out.is = v), e => (out.is = "code" in e ? e.code : e));
  return out;
}
