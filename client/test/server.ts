// A server of the protocol for tests: routers over a log in memory, channels, and all four transports. It is as
// faithful as it has to be to find a client out, and can be told to be as bad as a network is.

import type { Memory, TransportName } from "../src/types.ts";
import { comparator } from "../src/order.ts";
import { Members } from "./members.ts";
import type { ClientMessage, Fields, ServerMessage, WireChange, WireRelation, WireRow } from "../src/wire.ts";

type Where = Record<string, unknown> | undefined;
interface Entry { pos: number; router: string; key: string; was?: WireRow | undefined; now?: WireRow | undefined; mutation?: string | undefined; channel?: string; message?: unknown; by?: unknown; /** It was overtaken by a later write: its version is old. */ stale?: boolean }
interface Sub {
  id: number; query: string; router: string; where: Where; channel: string | undefined; pos: number;
  /** Of a window: its effective order, what the client holds by now, and what it was told of rows beyond. */
  limit?: number | undefined; order: string; held: Map<string, WireRow>; bound?: unknown[] | undefined; more?: boolean | undefined;
  /** It goes on from an earlier cursor, and was not told yet what it lacks. */
  behind?: boolean;
  /** Of a count: what was said last. */
  count?: number | undefined;
}

const matches = (where: Where, row: WireRow | undefined) => !!row && Object.entries(where ?? {}).every(([k, v]) =>
  v instanceof Object ? (v as { in: unknown[] }).in.includes(row.fields[k]) : row.fields[k] === v);
/** What no long-poll ends for: that a window which has caught up lacks nothing. */
const quiet = (m: ServerMessage) => m.type === "resumed" || (m.type === "change" && !m.changes.length);
const boundOf = (order: string, row: WireRow) => order.split(",").map(f => row.fields[f.replace("-", "")] ?? null);

export class Server {
  epoch = "ep";
  /** The rows of the router "todos", and those of all. */
  rows = new Map<string, WireRow>();
  tables = new Map([["todos", this.rows]]);
  /** What "todos" was after each position. */
  states: WireRow[][] = [[]];
  relations: Record<string, WireRelation> = {};
  /** The answers to writes, by mutation. */
  memory = new Map<string, ServerMessage>();
  /** Rows that come in for others are fetched, not at hand. */
  fetches = false;
  maxLimit = 1000;
  /** Names what callers may see. */
  tag = "t1";
  log: Entry[] = [];
  pos = 0;
  /** Positions up to this one are forgotten. */
  floor = 0;
  /** Transports that do not get through; for the POSTs of calls there is "call". */
  blocked = new Set<TransportName | "call">();
  /** No connection is possible at all. */
  down = false;
  /** Every POST is answered with this instead. */
  refusal: { status: number; problem: object; headers?: Record<string, string> } | undefined;
  /** Seconds after which a message may come again, for those that are not handled now. */
  busy: (m: ClientMessage) => number | undefined = () => undefined;
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
  members = new Members(this);
  /** Updates with a base are merged. */
  merges = true;
  private waiting = new Set<() => void>();

  cursor(pos = this.pos): string {
    return `${this.epoch}.${pos.toString(36).padStart(4, "0")}`;
  }

  table(router: string): Map<string, WireRow> {
    const table = this.tables.get(router) ?? new Map<string, WireRow>();
    this.tables.set(router, table);
    return table;
  }

  /** The calls that came, and which of their mutations. */
  get calls(): Extract<ClientMessage, { type: "call" }>[] {
    return this.received.map(r => r.m).filter(m => m.type === "call");
  }

  write(key: string, fields: Fields | undefined, mutation?: string, router = "todos", by?: unknown): WireRow | undefined {
    const rows = this.table(router);
    const was = rows.get(key);
    const version = (was ? (was.version as number) : 0) + 1;
    const now = fields && { key, version, fields: { id: router === "presence" ? key : Number(key), ...was?.fields, ...fields } };
    if (now) rows.set(key, now);
    else rows.delete(key);
    this.append({ router, key, was, now, mutation, by });
    return now;
  }

  /** A row as it was is published again, behind what came after it: two writers that publish in the other order than they commit. */
  overtaken(row: WireRow): void {
    this.append({ router: "todos", key: row.key, was: row, now: row, stale: true });
  }

  publish(channel: string, message: unknown): void {
    this.append({ router: "", key: "", channel, message });
  }

  append(e: Omit<Entry, "pos">): void {
    this.log.push({ ...e, pos: ++this.pos });
    this.states.push([...this.rows.values()]);
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
    if (sub.count !== undefined) {
      const count = this.visible(sub.router, sub.where).length;
      if (count !== sub.count) out.push({ type: "count", query: sub.query, cursor: this.cursor(), count: (sub.count = count) });
      return out;
    }
    if (sub.limit) return this.windowNews(sub);
    for (const e of this.log) {
      if (e.pos <= sub.pos) continue;
      const cursor = this.cursor(e.pos);
      if (sub.channel !== undefined) {
        if (e.channel === sub.channel) out.push({ type: "message", query: sub.query, cursor, messages: [e.message] });
        continue;
      }
      if (e.channel !== undefined || e.router !== sub.router) continue;
      if (e.stale) {
        if (matches(sub.where, e.now)) out.push({ type: "change", query: sub.query, cursor, changes: [{ op: "update", key: e.key, version: e.now!.version!, fields: e.now!.fields }] });
        continue;
      }
      const saw = matches(sub.where, e.was), sees = matches(sub.where, e.now);
      const { key, was, now } = e;
      const c = (op: WireChange["op"], fields?: Fields): ServerMessage => ({
        type: "change", query: sub.query, cursor,
        changes: [{ op, key, version: now?.version ?? Number(was!.version) + 1, ...(fields && { fields }), ...(e.mutation && { mutation: e.mutation }), ...(e.by !== undefined && { by: e.by }) }],
      });
      if (saw && sees) out.push(c("update", Object.fromEntries(Object.entries(now!.fields).filter(([k, v]) => was!.fields[k] !== v))));
      else if (sees) out.push(c(was ? "enter" : "create", now!.fields));
      else if (saw) out.push(c(now ? "leave" : "delete"));
    }
    sub.pos = this.pos;
    return out;
  }

  private visible(router: string, where: Where): WireRow[] {
    return [...this.table(router).values()].filter(r => matches(where, r));
  }

  /** The rows of "todos" in a window's order, as they were at a position. */
  private ordered(sub: Sub, pos: number): WireRow[] {
    return this.states[pos]!.filter(r => matches(sub.where, r)).sort(comparator(sub.order));
  }

  /** Of ordered rows those up to the bound, and those beyond it. */
  private split(sub: Sub, rows: WireRow[]): [WireRow[], WireRow[]] {
    const end = sub.bound && { key: "", fields: Object.fromEntries(sub.order.split(",").map((f, i) => [f.replace("-", ""), sub.bound![i]])) };
    // Equal in the whole order is the same row.
    const beyond = (r: WireRow) => !!end && comparator(sub.order)({ ...r, key: "" }, end) > 0;
    return [rows.filter(r => !beyond(r)), rows.filter(beyond)];
  }

  /** What the client holds after a message, by the rules of windows. */
  private settle(sub: Sub, rows: WireRow[], more?: boolean): void {
    if (more !== undefined) rows = rows.slice(0, sub.limit);
    sub.held = new Map(rows.map(r => [r.key, r]));
    sub.more = more ?? sub.more;
    const last = rows.at(-1);
    if (rows.length < sub.limit! && more === false) sub.bound = undefined;
    else if (last && (rows.length >= sub.limit! || more || (sub.bound && this.split(sub, [last])[1].length))) sub.bound = boundOf(sub.order, last);
  }

  private windowNews(sub: Sub): ServerMessage[] {
    const out: ServerMessage[] = [];
    const row = (r: WireRow) => ({ key: r.key, version: r.version!, fields: r.fields });
    const edge = { ...sub };
    for (const e of this.log) {
      if (e.pos <= sub.pos || e.router !== "todos") continue;
      const all = this.ordered(sub, e.pos);
      const [within, beyond] = this.split(sub.behind ? edge : sub, all);
      // Who catches up is told of every row up to its bound; who has, of the first. One that went may be replaced at once.
      const now = sub.behind ? within : within.slice(0, sub.limit);
      if (!sub.behind && !this.fetches && now.length < sub.limit!) now.push(...beyond.splice(0, sub.limit! - now.length));
      const changes: WireChange[] = [];
      for (const was of sub.held.values()) {
        if (now.some(r => r.key === was.key)) continue;
        const own = e.key === was.key;
        const version = own ? (e.now?.version ?? Number(was.version) + 1) : was.version!;
        changes.push({ op: own && !e.now ? "delete" : "leave", key: was.key, version, ...(own && e.mutation && { mutation: e.mutation }) });
      }
      now.forEach((r, at) => {
        const held = sub.held.get(r.key), mutation = r.key === e.key && e.mutation ? { mutation: e.mutation } : {};
        if (!held) changes.push({ op: e.key === r.key && !e.was ? "create" : "enter", at, ...row(r), ...mutation });
        else if (held.version !== r.version) {
          changes.push({ op: "update", key: r.key, version: r.version!, fields: Object.fromEntries(Object.entries(r.fields).filter(([k, v]) => held.fields[k] !== v)), ...mutation });
        }
      });
      const beyondNow = all.length > now.length;
      const more = sub.behind || beyondNow === sub.more ? undefined : beyondNow;
      this.settle(sub, now, more);
      if (changes.length || more !== undefined) out.push({ type: "change", query: sub.query, cursor: this.cursor(e.pos), ...(more !== undefined && { more }), changes });
    }
    sub.pos = this.pos;
    const all = this.ordered(sub, this.pos), first = all.slice(0, sub.limit);
    // Who catches up is told what is beyond its bound, even if that is nothing; who has, what was fetched.
    const [, lacks] = sub.behind ? this.split(edge, first) : [[], first.filter(r => !sub.held.has(r.key))];
    if (sub.behind || lacks.length) {
      const more = all.length > first.length;
      out.push({ type: "change", query: sub.query, cursor: this.cursor(), more, changes: lacks.map(r => ({ op: "enter", at: first.indexOf(r), ...row(r) })) });
      sub.behind = false;
      this.settle(sub, first, more);
    }
    return out;
  }

  /** What a list says besides its cursor, to a subscription or a call. */
  private listing(m: Extract<ClientMessage, { type: "subscribe" | "call" }>): { rows: WireRow[]; order?: string; limit?: number; more?: boolean; relations?: Record<string, WireRelation> } {
    const all = this.visible(m.router!, m.where as Where);
    const order = (m.order ? m.order + "," : "") + "id";
    const ordered = m.order || m.limit || m.include;
    if (ordered) all.sort(comparator(order));
    return {
      rows: m.limit ? all.slice(0, m.limit) : all,
      ...(ordered && { order }),
      ...(m.limit && { more: all.length > m.limit }),
      ...(m.include && { relations: Object.fromEntries(m.include.map(name => [name, this.relations[name]!])) }),
    };
  }

  private subscribe(m: Extract<ClientMessage, { type: "subscribe" }>, subs: Map<number, Sub>): ServerMessage {
    if (m.presence) {
      const joined = m.router === "secret" ? undefined : this.members.joined(m);
      if (!joined) return { type: "error", id: m.id, problem: m.router === "secret" ? { status: 404, code: "not_found", detail: "no such row" } : { status: 403, code: "forbidden", detail: "wrong token" } };
      m = joined;
    }
    const query = "q" + m.id + "x" + this.attempts.length;
    const sub: Sub = {
      id: m.id, query, router: m.router ?? "", where: m.where as Where, channel: m.channel, pos: this.pos,
      limit: m.limit, order: (m.order ? m.order + "," : "") + "id", held: new Map(), bound: m.bound,
    };
    const refuse = (status: number, code: string): ServerMessage => ({ type: "error", id: m.id, problem: { status, code, detail: code } });
    if (m.router === "secret") return refuse(403, "forbidden");
    if (m.limit && m.limit > this.maxLimit) return refuse(400, "limit_too_large");
    if ((m.bound || m.tag) && !m.cursor) return refuse(400, "malformed_message");
    subs.set(m.id, sub);
    const [epoch, pos] = (m.cursor ?? "").split(".") as [string, string];
    const at = parseInt(pos, 36);
    const denied = m.tag !== undefined && m.tag !== this.tag;
    const lost = epoch !== this.epoch || at < this.floor || denied;
    const tag = m.router ? { tag: this.tag } : {};
    if (m.count) {
      sub.count = this.visible(sub.router, sub.where).length;
      if (!lost && at === this.pos) return { type: "resumed", id: m.id, query, cursor: m.cursor! };
      return { type: "snapshot", id: m.id, query, cursor: this.cursor(), ...tag, count: sub.count };
    }
    if (lost) {
      const { rows, ...more } = this.listing(m);
      if (m.limit) this.settle(sub, rows, more.more);
      const reason = epoch !== this.epoch ? "epoch" : denied ? "rights" : "history";
      return { type: m.cursor ? "resync" : "snapshot", id: m.id, query, cursor: this.cursor(), ...(m.cursor && { reason }), ...tag, ...more, ...(m.router && { rows }) };
    }
    sub.pos = at;
    sub.behind = true;
    if (m.limit) sub.held = new Map(this.split(sub, this.ordered(sub, at))[0].map(r => [r.key, r]));
    return { type: "resumed", id: m.id, query, cursor: m.cursor! };
  }

  /** Handles one message for a set of subscriptions. */
  handle(m: ClientMessage, subs: Map<number, Sub>): ServerMessage[] {
    const retry_after = this.busy(m);
    if (retry_after !== undefined) return [{ type: "error", id: m.id, problem: { status: 429, code: "rate_limited", retry_after } }];
    switch (m.type) {
      case "subscribe":
        return [this.subscribe(m, subs)];
      case "unsubscribe":
        subs.delete(m.id);
        return [{ type: "result", id: m.id }];
      case "publish":
        this.publish(m.channel, m.data);
        return [{ type: "result", id: m.id, cursor: this.cursor() }];
      case "ping":
        return [{ type: "pong", id: m.id }];
      case "explain":
        return [{ type: "result", id: m.id, data: { visible: this.table(m.router).has(m.key), because: "it is there" } }];
      case "call": {
        const known = m.mutation && this.memory.get(m.mutation);
        if (known) return [{ ...known, id: m.id } as ServerMessage];
        const [epoch, pos] = (m.retry ?? "").split(".");
        if (m.retry && (epoch !== this.epoch || parseInt(pos!, 36) < this.floor)) {
          return [{ type: "error", id: m.id, problem: { status: 409, code: "unknown_outcome" } }];
        }
        const answer = this.call(m);
        if (m.mutation && answer.type === "result") this.memory.set(m.mutation, answer);
        return [answer];
      }
    }
  }

  private call(m: Extract<ClientMessage, { type: "call" }>): ServerMessage {
    const { id, router, key = "" } = m;
    const row = this.table(router).get(key);
    const data = m.data as Fields;
    const refuse = (status: number, code: string, more = {}): ServerMessage => ({ type: "error", id, problem: { status, code, detail: code, ...more } });
    if (router === "presence") return this.members.act(id, m.verb, m.data as never);
    if (m.verb === "list") return { type: "result", id, cursor: this.cursor(), ...this.listing(m) };
    if (data instanceof Array) {
      const rows = (data as { key?: string; data?: Fields }[]).map(d =>
        this.write(d.key ?? String(this.nextKey++), m.verb === "delete" ? undefined : (d.data ?? (d as Fields)), m.mutation, router)!);
      return { type: "result", id, cursor: this.cursor(), rows: m.verb === "delete" ? [] : rows };
    }
    if (m.verb === "archive") return { type: "result", id, cursor: this.cursor(), data: { archived: key || "all", ...data } };
    if (m.verb === "create") {
      if (data["title"] === "") return refuse(422, "invalid_value", { errors: { title: ["is empty"] } });
      return { type: "result", id, row: this.write(String(this.nextKey++), { ...data }, m.mutation, router)!, cursor: this.cursor() };
    }
    if (!row) return refuse(404, "not_found");
    if (m.verb === "get") return { type: "result", id, row };
    if (m.version !== undefined && m.version !== row.version && this.merges && m.verb === "update") {
      const changed: Record<string, { version: number; by?: unknown }> = {};
      for (const { key: k, router: r, was, now, by } of this.log) {
        if (k !== key || r !== router || !now || (now.version as number) <= m.version) continue;
        for (const f of Object.keys(now.fields)) if (was?.fields[f] !== now.fields[f]) changed[f] = { version: now.version as number, ...(by !== undefined && { by }) };
      }
      const base = (m.base ?? {}) as Fields, conflicts = Object.keys(data).filter(f => !(f in base) || JSON.stringify(base[f]) !== JSON.stringify(row.fields[f]));
      if (conflicts.length) return refuse(409, "conflict", { current: row, changed, conflicts });
    } else if (m.version !== row.version) return m.version === undefined ? refuse(428, "version_required") : refuse(409, "conflict", { current: row });
    if (m.verb === "delete") {
      this.write(key, undefined, m.mutation, router);
      return { type: "result", id, cursor: this.cursor() };
    }
    if (data["title"] === "") return refuse(422, "invalid_value");
    if (Object.entries(data).every(([k, v]) => row.fields[k] === v)) return { type: "result", id, row };
    return { type: "result", id, row: this.write(key, data, m.mutation, router)!, cursor: this.cursor() };
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
    const call = messages.some(m => /^(call|publish|explain)$/.test(m.type));
    const via = stream ? "sse" : call ? "call" : wait ? "longpoll" : "shortpoll";
    this.attempts.push(via);
    if (this.refusal) return Response.json(this.refusal.problem, { status: this.refusal.status, headers: { "Content-Type": "application/problem+json", ...this.refusal.headers } });
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
    const news = data();
    if (wait && [...out, ...news].every(quiet)) {
      await new Promise<void>((resolve, reject) => {
        const done = () => {
          this.waiting.delete(done);
          resolve();
        };
        this.waiting.add(done);
        signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      });
      if (this.down) throw broken();
      news.push(...data());
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
      if (/^(call|publish|explain)$/.test(m.type)) {
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
