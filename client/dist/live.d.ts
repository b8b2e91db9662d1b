// The types of @swampline/live. Built from src/types.ts by build.mjs: do not edit.

export type TransportName = "websocket" | "sse" | "longpoll" | "shortpoll";

/** The key of a row. On the wire it is text. */
export type Key = string | number;

/** A filter of the protocol: an object is AND, an array is OR, `not` negates. */
export type Where = { readonly [field: string]: unknown } | readonly Where[];

/** What a list is asked for. W, O and I are the router's filter, its terms of order and its relations, where a schema names them. */
export interface ListOptions<W = Where, O extends string = string, I extends string = string> {
  where?: W;
  /**
   * Fields to order by, "-" in front for descending: one, an array of them, or without a schema several separated by commas. Without it
   * rows stay in the server's order, new ones last.
   */
  order?: O | readonly O[];
  /** Only the first so many rows. Without it all, or as many as the router gives at most: then the list is a window of so many. */
  limit?: number;
  /** Relations of the router: each row carries the rows that it relates to, which are live too, in a member of the relation's name. */
  include?: readonly I[];
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
  /** Calls f at each event of this name, of the window, or "visibilitychange" of the document; what it returns ends that. */
  on(event: string, f: () => void): () => void;
  hidden(): boolean;
  /** Calls f once, when the next frame is about to be painted; where none is, when a quarter of a second or, outside of browsers, the turn is over. */
  frame(f: () => void): void;
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
  /** Seconds: nothing was done, and it may be asked again after that time. */
  retry_after?: number;
  current?: { key: string; version?: number | string; fields: Record<string, unknown> };
  /** On a conflict, where it is known: the fields that changed since the caller's version, by which version and by whom. */
  changed?: Record<string, { version?: number | string; by?: unknown }>;
  /** On a conflict of an update with a base: the fields that were written and are no longer what they were. */
  conflicts?: string[];
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
  /** And which fields changed since, and by whom, where the server knows. */
  readonly changed: Problem["changed"];
  /** And which of the fields that were written with a base are no longer what they were. */
  readonly conflicts: Problem["conflicts"];
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
  /** What the application says of who made the change, where it says that. */
  by?: unknown;
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

/** One row of several that are updated together. Without a version the one that the list holds is sent. */
export interface BulkUpdate<U> {
  key: Key;
  data: U;
  version?: number;
}

/** A set of rows that follows the server. Two lists of the same router and options are one object. */
export interface List<T, C = Partial<T>, U = Partial<T>> {
  /** What is known now, with the writes that are under way: a frozen array of frozen rows, the same until something changes. */
  readonly rows: readonly T[];
  readonly status: FeedStatus;
  /** Resolves with the rows when they are first known, and subscribes until then. */
  readonly ready: Promise<readonly T[]>;
  /** Whether there may be rows beyond the last one of a list with a limit. */
  readonly hasMore: boolean;
  /** Grows a list with a limit by n rows, by default the limit that it was made with; resolves when they are there. Nothing comes twice. */
  more(n?: number): Promise<void>;
  /** Calls f at once with what is known, and then whenever the rows, hasMore or the status changed. */
  subscribe(f: (rows: readonly T[], status: FeedStatus) => void): Stop;
  /** "change": each change as the server sends it, without what the row relates to, before the rows that it makes. */
  on(event: "change", f: (change: Change<T>) => void): Stop;
  /** "error": each write that was refused and rolled back. */
  on(event: "error", f: (error: LiveErrorLike) => void): Stop;
  /** Shows the row at once; resolves with the server's row, or rolls back and rejects with a LiveError. */
  create(data: C): Promise<T | undefined>;
  /** Several rows, all of them or none, and shown when they come back. */
  create(rows: readonly C[]): Promise<readonly T[]>;
  /** Sends the numeric version that the list holds of the row, unless one is given. */
  update(key: Key, data: U, options?: { version?: number }): Promise<T | undefined>;
  update(rows: readonly BulkUpdate<U>[]): Promise<readonly T[]>;
  delete(key: Key, options?: { version?: number }): Promise<void>;
  delete(keys: readonly Key[]): Promise<void>;
  /** Asks the server for one row, whether this list shows it or not. What it relates to does not come with it. */
  get(key: Key): Promise<T>;
  /** Asks the server for the rows once, without a subscription; and for what they relate to, where the list includes that. */
  fetch(): Promise<readonly T[]>;
  key(row: T): string | undefined;
  /** The version of a row that a list showed or a call returned: a number, if the model has versions. */
  version(row: T): number | string | undefined;
  /** Whether the row shows a write that the server has not answered yet. */
  pending(row: T): boolean;
}

/** A stream of messages that belong to no row. */
export interface Channel<M> {
  readonly status: FeedStatus;
  /** Calls f with each message, and the cursor that it stands at. */
  on(f: (message: M, cursor: string) => void): Stop;
  /** Calls f when messages were missed because history no longer holds them: what comes then follows the cursor. */
  onResync(f: (reason: string, cursor: string) => void): Stop;
  publish(message: M): Promise<void>;
}

/** How many rows there are. Two counts of the same router and where are one object. */
export interface Count {
  /** Undefined until it is known. */
  readonly value: number | undefined;
  readonly status: FeedStatus;
  /** Calls f at once with what is known, and then whenever it changed. */
  subscribe(f: (value: number | undefined, status: FeedStatus) => void): Stop;
}

export interface CallOptions<In = unknown> {
  /** The row that the verb is of. */
  key?: Key;
  /** The version that the caller saw of it. */
  version?: number;
  data?: In;
  /** Of an update: the values that the caller saw of what he writes. Where they are still so another version is no conflict. */
  base?: object;
}

/** Whether the caller sees a row in a list, and why. */
export interface Explanation {
  visible: boolean;
  because: string;
}

/** What a client has, whatever its routers are. */
export interface LiveBase {
  channel<M = unknown>(name: string): Channel<M>;
  readonly status: {
    readonly current: ConnectionStatus;
    /** Calls f at once, and then at each change. */
    subscribe(f: (status: ConnectionStatus) => void): Stop;
  };
  /** Ends everything: lists and channels are closed, calls that wait are rejected. */
  close(): void;
}

/** A client without a schema: the caller says what the rows are. */
export interface AnyLive extends LiveBase {
  list<T extends object = Record<string, unknown>>(router: string, options?: ListOptions): List<T>;
  count(router: string, options?: { where?: Where }): Count;
  /** Calls a verb, mostly one of the router's own. Resolves with its data, or else with the row or the rows of the answer. */
  call<R = unknown>(router: string, verb: string, options?: CallOptions): Promise<R>;
  /** Why the caller sees a row in such a list, or does not. Only a server that is being debugged tells. */
  explain(router: string, key: Key, options?: { where?: Where }): Promise<Explanation>;
}

// ---- schemas. A generator writes an interface that names the routers of an application and describes each by a RouterType, out of the
// types below; connect<Routers>(url) then refuses what the server would refuse. test/types/routers.ts is an example of such a file.

/** One router of a schema. */
export interface RouterType {
  /** A row as it is published. */
  row: object;
  /** Mostly a Filter. */
  where: unknown;
  /** Mostly an Order. */
  order: string;
  /** What create and update take: never for a router without. */
  create: unknown;
  update: unknown;
  /** The verbs of its own: what each takes and gives (undefined for nothing), and whether it is of one row. */
  verbs: { [name: string]: { in: unknown; out: unknown; row: boolean } };
  /** By the name of the relation, the type of the member that it adds to a row, once it is known. */
  include: { [name: string]: unknown };
}

interface Values {
  bool: boolean;
  int: number;
  float: number;
  text: string;
  /** As RFC 3339 writes it. */
  time: string;
  opaque: unknown;
}

/** A field that is compared by equality only, and has values of type V: a word out of several, a UUID. */
export interface Only<V> {
  only: V;
}

/** The types of the fields that can be filtered by. "?" behind a name: it may be null. */
export type FieldTypes = { [field: string]: keyof Values | `${keyof Values}?` | Only<unknown> };

type Value<F> = F extends Only<infer V> ? V : F extends keyof Values ? Values[F] : F extends `${infer N extends keyof Values}?` ? Values[N] | null : never;

/** The lookups that a field of a type has. */
type Lookups<F, V = Value<F>> = { eq?: V; ne?: V; in?: readonly V[]; isnull?: boolean }
  & (F extends "int" | "float" | "text" | "time" | "int?" | "float?" | "text?" | "time?" ? { lt?: NonNullable<V>; lte?: NonNullable<V>; gt?: NonNullable<V>; gte?: NonNullable<V> } : unknown)
  & (F extends "text" | "text?" ? { contains?: string; icontains?: string; startswith?: string } : unknown);

type Flat<F, K extends keyof F & string = keyof F & string> = K extends unknown ? `${K}__${keyof Lookups<F[K]> & string}` : never;

/** A filter over the fields: a value or lookups for each, lookups behind "__", `not`, and arrays for OR. */
export type Filter<F extends FieldTypes> =
  | readonly Filter<F>[]
  | ({ readonly [K in keyof F]?: Value<F[K]> | Lookups<F[K]> }
    & { readonly [P in Flat<F>]?: P extends `${infer K}__${infer L}` ? (L extends keyof Lookups<F[K]> ? Lookups<F[K]>[L] : never) : never }
    & { readonly not?: Filter<F> });

/** A term of an order: a field, or with "-" in front descending. */
export type Order<F extends string> = F | `-${F}`;

/** A row with the members that its relations add: undefined until they are known. */
export type Included<R extends RouterType, I> = [I] extends [never] ? R["row"] : R["row"] & { readonly [K in I & keyof R["include"]]: R["include"][K] | undefined };

type VerbOptions<V extends { in: unknown; row: boolean }> = ({} extends V["in"] ? { data?: V["in"] } : undefined extends V["in"] ? { data?: V["in"] } : { data: V["in"] })
  & (V["row"] extends true ? { key: Key; version?: number } : unknown);

/** A client that knows the routers of a schema. */
export interface TypedLive<S extends { [N in keyof S]: RouterType }> extends LiveBase {
  list<N extends keyof S & string, I extends keyof S[N]["include"] & string = never>(
    router: N,
    options?: ListOptions<S[N]["where"], S[N]["order"], I>,
  ): List<Included<S[N], I>, S[N]["create"], S[N]["update"]>;
  count<N extends keyof S & string>(router: N, options?: { where?: S[N]["where"] }): Count;
  call<N extends keyof S & string, V extends keyof S[N]["verbs"] & string>(
    router: N,
    verb: V,
    ...options: {} extends VerbOptions<S[N]["verbs"][V]> ? [options?: VerbOptions<S[N]["verbs"][V]>] : [options: VerbOptions<S[N]["verbs"][V]>]
  ): Promise<S[N]["verbs"][V]["out"]>;
  explain<N extends keyof S & string>(router: N, key: Key, options?: { where?: S[N]["where"] }): Promise<Explanation>;
}

/** What connect returns: for a schema if there is one. */
export type Live<S = undefined> = [S] extends [undefined] ? AnyLive : S extends { [N in keyof S]: RouterType } ? TypedLive<S> : never;

export declare class LiveError extends Error implements LiveErrorLike {
  constructor(problem: Problem);
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: Record<string, string[]>;
  readonly current: Problem["current"];
  readonly changed: Problem["changed"];
  readonly conflicts: Problem["conflicts"];
}

/** The key of a row that a list showed or a call returned. */
export declare function keyOf(row: object): string | undefined;

/** Connects to the hub at url. It keeps trying until close is called; what is asked of it meanwhile waits. */
export declare function connect<S = undefined>(url: string, options?: Options): Live<S>;

/** live.js, the classic script, defines a global Live with the same exports: Live.connect("/live/"). */
export as namespace Live;
