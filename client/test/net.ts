// A network between the client and a Server in which everything is under way until it is told to arrive: what one says stands in a
// queue of its connection, and a schedule decides which connection moves, breaks, or keeps what it carries for later.

import { Session, type Server } from "./server.ts";

type Step = () => void;

export class Conn {
  up: Step[] = [];
  down: Step[] = [];
  /** Nothing arrives until it thaws: half-open, as a network is that lost the way. */
  frozen = false;
  /** What the ends are told when it breaks. */
  lost: Step = () => {};
  gone: Step = () => {};
  private net: Net;

  constructor(net: Net) {
    this.net = net;
  }

  /** It breaks. What is under way to the client may still arrive (FIN) or not (RST); what is under way to the server does not. */
  cut(kept: number): void {
    this.up = [this.gone];
    this.down = [...this.down.slice(0, kept), this.lost];
    this.frozen = false;
  }

  get idle(): boolean {
    return this.frozen || !(this.up.length || this.down.length);
  }

  /** One thing arrives. */
  step(): void {
    const queue = !this.up.length ? this.down : !this.down.length ? this.up : this.net.chance(2) ? this.up : this.down;
    queue.shift()?.();
  }
}

export class Net {
  conns: Conn[] = [];
  server: Server;
  chance: (n: number) => number;

  constructor(server: Server, chance: (n: number) => number) {
    this.server = server;
    this.chance = chance;
  }

  /** One thing arrives somewhere, if anything can. */
  step(): boolean {
    const moving = this.conns.filter(c => !c.idle);
    moving[this.chance(moving.length)]?.step();
    if (this.conns.length > 20) this.conns = this.conns.filter(c => c.up.length || c.down.length || c.frozen || this.conns.indexOf(c) > 10);
    return moving.length > 0;
  }

  private open(): Conn {
    const conn = new Conn(this);
    this.conns.push(conn);
    return conn;
  }

  get WebSocket(): new (url: string) => WebSocket {
    const net = this;
    return class {
      onmessage?: (e: { data: string }) => void;
      onclose?: () => void;
      onerror?: () => void;
      private conn = net.open();
      private session: Session | undefined;

      constructor() {
        const { conn } = this, { server } = net;
        conn.lost = () => this.onclose?.();
        conn.gone = () => this.session?.end(false);
        conn.up.push(() => {
          if (server.down || server.blocked.has("websocket")) return conn.down.push(conn.lost);
          this.session = new Session(server, "websocket", text => conn.down.push(() => this.onmessage?.({ data: text })), () => conn.down.push(conn.lost));
          return;
        });
      }

      send(text: string) {
        this.conn.up.push(() => this.session?.receive(text));
      }

      /** What is under way to the client still arrives: it has to look away by itself. */
      close() {
        this.conn.up.push(this.conn.gone);
      }
    } as never;
  }

  fetch = (url: string, init: RequestInit): Promise<Response> => {
    const conn = this.open(), abort = new AbortController();
    return new Promise<Response>((resolve, reject) => {
      conn.lost = () => reject(new TypeError("fetch failed"));
      conn.gone = () => abort.abort();
      init.signal!.addEventListener("abort", () => {
        reject(new DOMException("aborted", "AbortError"));
        conn.up.push(conn.gone);
      });
      conn.up.push(() => void this.server.fetch(url, { ...init, signal: abort.signal }).then(async response => {
        const { status, headers } = response;
        if (headers.get("Content-Type") === "text/event-stream") {
          conn.down.push(() => resolve(this.stream(conn, response, init.signal!)));
        } else {
          const text = await response.text();
          conn.down.push(() => resolve(new Response(text, { status, headers })));
        }
      }, () => conn.down.push(conn.lost)));
    });
  };

  /** A stream arrives in pieces, cut anywhere. */
  private stream(conn: Conn, response: Response, signal: AbortSignal): Response {
    const reader = response.body!.getReader();
    let over = false;
    const body = new ReadableStream<Uint8Array>({
      start: controller => {
        const fail = (e: unknown) => {
          if (!over) controller.error(e);
          over = true;
        };
        conn.lost = () => fail(new TypeError("terminated"));
        signal.addEventListener("abort", () => fail(new DOMException("aborted", "AbortError")));
        const pump = async () => {
          for (;;) {
            const { done, value } = await reader.read();
            if (done) return;
            const at = this.chance(2) ? this.chance(value.length) : 0;
            for (const piece of [value.slice(0, at), value.slice(at)]) if (piece.length) conn.down.push(() => over || controller.enqueue(piece));
          }
        };
        pump().catch(() => conn.down.push(conn.lost));
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}
