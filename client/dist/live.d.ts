// The types of @swampline/live. Built from src/types.ts by build.mjs: do not edit.

export type TransportName = "websocket" | "sse" | "longpoll" | "shortpoll";

/** The key of a row. On the wire it is text. */
export type Key = string | number;

/** A filter of the protocol: an object is AND, an array is OR, `not` negates. */
export type Where = { readonly [field: string]: unknown } | readonly Where[];

export interface ListOptions {
  where?: Where;
  /** Fields to order by, separated by commas, "-" in front for descending. Without it rows stay in the server's order, new ones last. */
  order?: string;
}

/** What of Storage is used to remember the transport that got through. */
export interface Memory {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Time, chance and the browser's events: tests replace them. */
export interface Env {
  now(): number;
  setTimeout(f: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  /** A number from 0 up to 1. */
  random(): number;
  /** A UUID of version 7. */
  uuid(): string;
  /** Calls f at each event "online" or "visibilitychange"; what it returns ends that. */
  on(event: string, f: () => void): () => void;
  hidden(): boolean;
}

export interface Options {
  /** Use this transport and no other. */
  transport?: TransportName;
  /** The transports to try, best first. */
  transports?: readonly TransportName[];
  /** Headers of every POST. A browser's WebSocket cannot carry any: authenticate it by a cookie or the URL. */
  headers?: Record<string, string> | (() => Record<string, string>);
  /** Default "same-origin". */
  credentials?: "omit" | "same-origin" | "include";
  /** Milliseconds between two short polls, 2000 by default; five times as many in a hidden tab. */
  pollInterval?: number;
  /** How many seconds the server may hold a long-poll, 25 by default. */
  wait?: number;
  fetch?: typeof fetch;
  /** A WebSocket class, for a Node that has none of its own. */
  WebSocket?: new (url: string) => WebSocket;
  /** Where the transport that got through is remembered; localStorage by default, null for nowhere. */
  storage?: Memory | null;
  env?: Partial<Env>;
}

/** The problem details (RFC 9457) that the server refuses with. */
export interface Problem {
  title?: string;
  status?: number;
  code?: string;
  detail?: string;
  errors?: Record<string, string[]>;
  current?: { key: string; version?: number | string; fields: Record<string, unknown> };
}

/** The state of the connection. Each is a new frozen object. */
export interface ConnectionStatus {
  /** The transport in use; undefined while there is none. */
  readonly transport: TransportName | undefined;
  readonly connected: boolean;
  /** The last round trip in milliseconds: from a call, publish, ping, subscribe or short poll to its answer. */
  readonly lag: number | undefined;
  /** Why there is no connection, or what the server complained about last; gone at the next connection. */
  readonly error: LiveErrorLike | undefined;
  /** The server's broker cannot be reached: nothing is lost, news may be late. */
  readonly degraded: boolean;
}

export interface LiveErrorLike extends Error {
  /** Stable, for programs. The client's own: "connection_lost", "closed", "not_live", or "http" for an answer without a code. */
  readonly code: string;
  /** The HTTP status, 0 when there is none. */
  readonly status: number;
  readonly detail: string;
  readonly errors: Readonly<Record<string, readonly string[]>>;
  /** On a conflict: the row as it is now. */
  readonly current: Problem["current"];
}

/** What a list or a channel is: waiting for its first answer, living, or ended (by the server with an error, or by close). */
export interface FeedStatus {
  readonly state: "loading" | "live" | "closed";
  readonly error?: LiveErrorLike;
}

/** What is common to the changes of one row. A mutation names a write of this client. */
export interface RowChange<Op extends string> {
  op: Op;
  key: string;
  cursor: string;
  mutation?: string;
}

/** One thing that happened to a list: a change of the protocol with the whole row that it leaves, or a new start. */
export type Change<T> =
  | (RowChange<"create"> & { row: T })
  | (RowChange<"enter"> & { row: T })
  | (RowChange<"update"> & { row: T })
  | RowChange<"leave">
  | RowChange<"delete">
  | { op: "snapshot"; cursor: string; rows: readonly T[] }
  | { op: "resync"; cursor: string; rows: readonly T[]; reason: string };

export type Stop = () => void;

/** A set of rows that follows the server. Two lists of the same router, where and order are one object. */
export interface List<T> {
  /** What is known now, with the writes that are under way: a frozen array of frozen rows, the same until something changes. */
  readonly rows: readonly T[];
  readonly status: FeedStatus;
  /** Resolves with the rows when they are first known, and subscribes until then. */
  readonly ready: Promise<readonly T[]>;
  /** Calls f at once with what is known, and then whenever the rows or the status changed. */
  subscribe(f: (rows: readonly T[], status: FeedStatus) => void): Stop;
  /** "change": each change as the server sends it, before the rows that it makes. */
  on(event: "change", f: (change: Change<T>) => void): Stop;
  /** "error": each write that was refused and rolled back. */
  on(event: "error", f: (error: LiveErrorLike) => void): Stop;
  /** Shows the row at once; resolves with the server's row, or rolls back and rejects with a LiveError. */
  create(data: Partial<T>): Promise<T | undefined>;
  /** Sends the numeric version that the list holds of the row, unless one is given. */
  update(key: Key, data: Partial<T>, options?: { version?: number }): Promise<T | undefined>;
  delete(key: Key, options?: { version?: number }): Promise<void>;
  /** Asks the server for one row, whether this list shows it or not. */
  get(key: Key): Promise<T>;
  /** Asks the server for the rows once, without a subscription. */
  fetch(): Promise<readonly T[]>;
  key(row: T): string | undefined;
  /** Whether the row shows a write that the server has not answered yet. */
  pending(row: T): boolean;
}

/** A stream of messages that belong to no row. */
export interface Channel<M> {
  readonly status: FeedStatus;
  /** Calls f with each message. */
  on(f: (message: M) => void): Stop;
  /** Calls f when messages were missed because history no longer holds them. */
  onResync(f: (reason: string) => void): Stop;
  publish(message: M): Promise<void>;
}

export interface Live {
  list<T extends object = Record<string, unknown>>(router: string, options?: ListOptions): List<T>;
  channel<M = unknown>(name: string): Channel<M>;
  readonly status: {
    readonly current: ConnectionStatus;
    /** Calls f at once, and then at each change. */
    subscribe(f: (status: ConnectionStatus) => void): Stop;
  };
  /** Ends everything: lists and channels are closed, calls that wait are rejected. */
  close(): void;
}

export declare class LiveError extends Error implements LiveErrorLike {
  constructor(problem: Problem);
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: Record<string, string[]>;
  readonly current: Problem["current"];
}

/** The key of a row that a list showed or a call returned. */
export declare function keyOf(row: object): string | undefined;

/** Connects to the hub at url. It keeps trying until close is called; what is asked of it meanwhile waits. */
export declare function connect(url: string, options?: Options): Live;

/** live.js, the classic script, defines a global Live with the same exports: Live.connect("/live/"). */
export as namespace Live;
