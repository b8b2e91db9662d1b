// A server of the protocol for tests: one router "todos" over a log in memory, channels, and all four transports. It is as
// faithful as it has to be to find a client out, and can be told to be as bad as a network is.

import type { Memory, TransportName } from "../src/types.ts";
import type { ClientMessage, Fields, ServerMessage, WireChange, WireRow } from "../src/wire.ts";

type Where = Record<string, unknown> | undefined;
interface Entry { pos: number; key: string; was?: WireRow | undefined; now?: WireRow | undefined; mutation?: string | undefined; channel?: string; message?: unknown }
interface Sub { id: number; query: string; where: Where; channel: string | undefined; pos: number }

const matches = (where: Where, row: WireRow | undefined) => !!row && Object.entries(where ?? {}).every(([k, v]) => row.fields[k] === v);

export class Server {
  epoch = "ep";
  rows = new Map<string, WireRow>();
  log: Entry[] = [];
  pos = 0;
  /** Positions up to this one are forgotten. */
  floor = 0;
  /** Transports that do not get through; for the POSTs of calls there is "call". */
  blocked = new Set<TransportName | "call">();
  /** No connection is possible at all. */
  down = false;
  /** Every POST is answered with this instead. */
  refusal: { status: number; problem: object } | undefined;
  /** Execute calls, but break before the answer. */
  deaf = false;
  /** Answer calls only when told to. */
  hold = false;
  held: (() => void)[] = [];
  sessions = new Set<Session>();
  /** All that came: transport, and message. */
  received: { via: string; m: ClientMessage }[] = [];
  attempts: string[] = [];
  nextKey = 100;
  private waiting = new Set<() => void>();

  cursor(pos = this.pos): string {
    return `${this.epoch}.${pos.toString(36).padStart(4, "0")}`;
  }

  write(key: string, fields: Fields | undefined, mutation?: string): WireRow | undefined {
    const was = this.rows.get(key);
    const version = (was ? (was.version as number) : 0) + 1;
    const now = fields && { key, version, fields: { id: Number(key), ...was?.fields, ...fields } };
    if (now) this.rows.set(key, now);
    else this.rows.delete(key);
    this.append({ key, was, now, mutation });
    return now;
  }

  publish(channel: string, message: unknown): void {
    this.append({ key: "", channel, message });
  }

  append(e: Omit<Entry, "pos">): void {
    this.log.push({ ...e, pos: ++this.pos });
    this.wake();
  }

  trim(): void {
    this.floor = this.pos;
  }

  /** Breaks every connection. */
  break(): void {
    for (const s of [...this.sessions]) s.end(true);
  }

  wake(): void {
    for (const s of this.sessions) s.drain();
    for (const f of [...this.waiting]) f();
  }

  say(m: ServerMessage): void {
    for (const s of this.sessions) s.send([m]);
  }

  /** What a position has to say to a subscription. */
  private news(sub: Sub): ServerMessage[] {
    const out: ServerMessage[] = [];
    for (const e of this.log) {
      if (e.pos <= sub.pos) continue;
      const cursor = this.cursor(e.pos);
      if (sub.channel !== undefined) {
        if (e.channel === sub.channel) out.push({ type: "message", query: sub.query, cursor, messages: [e.message] });
        continue;
      }
      if (e.channel !== undefined) continue;
      const saw = matches(sub.where, e.was), sees = matches(sub.where, e.now);
      const { key, was, now } = e;
      const c = (op: WireChange["op"], fields?: Fields): ServerMessage => ({
        type: "change", query: sub.query, cursor,
        changes: [{ op, key, version: now?.version ?? Number(was!.version) + 1, ...(fields && { fields }), ...(e.mutation && { mutation: e.mutation }) }],
      });
      if (saw && sees) out.push(c("update", Object.fromEntries(Object.entries(now!.fields).filter(([k, v]) => was!.fields[k] !== v))));
      else if (sees) out.push(c(was ? "enter" : "create", now!.fields));
      else if (saw) out.push(c(now ? "leave" : "delete"));
    }
    sub.pos = this.pos;
    return out;
  }

  private visible(where: Where): WireRow[] {
    return [...this.rows.values()].filter(r => matches(where, r));
  }

  /** Handles one message for a set of subscriptions. */
  handle(m: ClientMessage, subs: Map<number, Sub>): ServerMessage[] {
    switch (m.type) {
      case "subscribe": {
        const sub: Sub = { id: m.id, query: "q" + m.id + "x" + this.attempts.length, where: m.where as Where, channel: m.channel, pos: this.pos };
        if (m.router === "secret") return [{ type: "error", id: m.id, problem: { status: 403, code: "forbidden", detail: "no" } }];
        subs.set(m.id, sub);
        if (!m.cursor) {
          return [{ type: "snapshot", id: m.id, query: sub.query, cursor: this.cursor(), ...(m.router && { rows: this.visible(sub.where) }) }];
        }
        const [epoch, pos] = m.cursor.split(".") as [string, string];
        const at = parseInt(pos, 36);
        if (epoch !== this.epoch || at < this.floor) {
          const reason = epoch !== this.epoch ? "epoch" : "history";
          return [{ type: "resync", id: m.id, query: sub.query, cursor: this.cursor(), reason, ...(m.router && { rows: this.visible(sub.where) }) }];
        }
        sub.pos = at;
        return [{ type: "resumed", id: m.id, query: sub.query, cursor: m.cursor }];
      }
      case "unsubscribe":
        subs.delete(m.id);
        return [{ type: "result", id: m.id }];
      case "publish":
        this.publish(m.channel, m.data);
        return [{ type: "result", id: m.id, cursor: this.cursor() }];
      case "ping":
        return [{ type: "pong", id: m.id }];
      case "call":
        return [this.call(m)];
    }
  }

  private call(m: Extract<ClientMessage, { type: "call" }>): ServerMessage {
    const { id, key = "" } = m;
    const row = this.rows.get(key);
    const data = m.data as Fields;
    const refuse = (status: number, code: string, more = {}): ServerMessage => ({ type: "error", id, problem: { status, code, detail: code, ...more } });
    if (m.verb === "list") return { type: "result", id, cursor: this.cursor(), rows: this.visible(m.where as Where) };
    if (m.verb === "create") {
      if (data["title"] === "") return refuse(422, "invalid_value", { errors: { title: ["is empty"] } });
      return { type: "result", id, row: this.write(String(this.nextKey++), { ...data }, m.mutation)!, cursor: this.cursor() };
    }
    if (!row) return refuse(404, "not_found");
    if (m.verb === "get") return { type: "result", id, row };
    if (m.version !== row.version) return m.version === undefined ? refuse(428, "version_required") : refuse(409, "conflict", { current: row });
    if (m.verb === "delete") {
      this.write(key, undefined, m.mutation);
      return { type: "result", id, cursor: this.cursor() };
    }
    if (data["title"] === "") return refuse(422, "invalid_value");
    if (Object.entries(data).every(([k, v]) => row.fields[k] === v)) return { type: "result", id, row };
    return { type: "result", id, row: this.write(key, data, m.mutation)!, cursor: this.cursor() };
  }

  // ---- transports

  /** The class to give to the client as its WebSocket. */
  get WebSocket(): new (url: string) => WebSocket {
    const server = this;
    return class {
      onmessage?: (e: { data: string }) => void;
      onclose?: () => void;
      onerror?: () => void;
      private session: Session | undefined;
      private over = false;
      constructor(readonly url: string) {
        server.attempts.push("websocket");
        setImmediate(() => {
          if (this.over || server.blackholed) return;
          if (server.down || server.blocked.has("websocket")) {
            this.onerror?.();
            return this.onclose?.();
          }
          this.session = new Session(server, "websocket", text => this.over || this.onmessage?.({ data: text }), () => {
            if (!this.over) this.onclose?.();
            this.over = true;
          });
        });
      }
      send(text: string) {
        setImmediate(() => !this.over && this.session?.receive(text));
      }
      close() {
        this.over = true;
        this.session?.end(false);
      }
    } as never;
  }

  /** WebSockets neither open nor fail. */
  blackholed = false;

  /** The function to give to the client as its fetch. */
  fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const wait = Number(url.searchParams.get("wait") ?? 0);
    const signal = init.signal!;
    const messages = String(init.body).split("\n").map(l => JSON.parse(l) as ClientMessage);
    const stream = new Headers(init.headers).get("Accept") === "text/event-stream";
    const call = messages.some(m => m.type === "call" || m.type === "publish");
    const via = stream ? "sse" : call ? "call" : wait ? "longpoll" : "shortpoll";
    this.attempts.push(via);
    if (this.refusal) return Response.json(this.refusal.problem, { status: this.refusal.status, headers: { "Content-Type": "application/problem+json" } });
    await new Promise(resolve => setImmediate(resolve));
    const broken = () => new TypeError("fetch failed");
    if (this.down || (via !== "sse" && this.blocked.has(via))) throw broken();
    if (stream) return this.stream(messages, signal);
    const subs = new Map<number, Sub>();
    const out: ServerMessage[] = [];
    for (const m of messages) {
      this.received.push({ via, m });
      out.push(...this.handle(m, subs));
    }
    if (call && this.deaf) throw broken();
    if (call && this.hold) await new Promise<void>(resolve => this.held.push(resolve));
    const data = () => [...subs.values()].flatMap(s => this.news(s));
    let news = data();
    if (wait && !news.length && out.every(m => m.type === "resumed")) {
      await new Promise<void>((resolve, reject) => {
        const done = () => {
          this.waiting.delete(done);
          resolve();
        };
        this.waiting.add(done);
        signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      });
      if (this.down) throw broken();
      news = data();
    }
    if (signal.aborted) throw new DOMException("aborted", "AbortError");
    const all: ServerMessage[] = [...out, ...news, { type: "cursor", cursor: this.cursor() }];
    return new Response(all.map(m => JSON.stringify(m)).join("\n"), { headers: { "Content-Type": "application/x-ndjson" } });
  };

  private stream(messages: ClientMessage[], signal: AbortSignal): Response {
    let session: Session;
    const body = new ReadableStream<Uint8Array>({
      start: controller => {
        const bytes = new TextEncoder();
        // A proxy that buffers: the stream is open, and nothing comes.
        if (this.blocked.has("sse")) return signal.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
        let over = false;
        session = new Session(this, "sse", text => {
          for (const line of text.split("\n")) {
            const { type, cursor } = JSON.parse(line) as { type: string; cursor?: string };
            if (!over) controller.enqueue(bytes.encode(`event: ${type}\n${cursor ? `id: ${cursor}\n` : ""}data: ${line}\n\n`));
          }
        }, dropped => {
          if (dropped && !over) controller.error(new TypeError("terminated"));
          over = true;
        });
        signal.addEventListener("abort", () => {
          if (!over) controller.error(new DOMException("aborted", "AbortError"));
          over = true;
          session.end(false);
        });
        session.receive(messages.map(m => JSON.stringify(m)).join("\n"));
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  newsOf(sub: Sub): ServerMessage[] {
    return this.news(sub);
  }
}

/** A WebSocket or a stream. */
export class Session {
  subs = new Map<number, Sub>();
  constructor(private server: Server, private via: string, private out: (text: string) => void, private over: (dropped: boolean) => void) {
    server.sessions.add(this);
    this.send([{ type: "hello", protocol: 1, session: "s" }]);
  }

  send(all: ServerMessage[]): void {
    if (all.length) this.out(all.map(m => JSON.stringify(m)).join("\n"));
  }

  receive(text: string): void {
    const { server } = this;
    for (const line of text.split("\n")) {
      const m = JSON.parse(line) as ClientMessage;
      server.received.push({ via: this.via, m });
      const answers = server.handle(m, this.subs);
      if (m.type === "call" || m.type === "publish") {
        if (server.deaf) {
          this.end(true);
          return;
        }
        const answer = () => {
          this.drain();
          this.send(answers);
        };
        if (server.hold) server.held.push(answer);
        else answer();
      } else {
        this.send(answers);
        this.drain();
      }
    }
  }

  drain(): void {
    if (this.server.sessions.has(this)) for (const sub of this.subs.values()) this.send(this.server.newsOf(sub));
  }

  end(dropped: boolean): void {
    if (this.server.sessions.delete(this)) this.over(dropped);
  }
}

export function store(): Memory & { data: Record<string, string> } {
  const data: Record<string, string> = {};
  return { data, getItem: k => data[k] ?? null, setItem: (k, v) => void (data[k] = v) };
}
