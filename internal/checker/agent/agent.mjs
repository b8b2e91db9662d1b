// The TypeScript client as the checker drives it: many clients in one process, told what to do by JSON lines on stdin, telling what
// their handlers saw by JSON lines on stdout.
//
//   node --experimental-websocket agent.mjs       (the flag is what gives Node 20 a WebSocket; later ones have it anyhow)
//
// To it, one object a line; client and sub are names that the caller chooses:
//
//   {"do":"open","client":"a1","url":"http://…/live/","transports":["websocket"],"pollInterval":200,"wait":5,"headers":{},"seed":7}
//   {"do":"subscribe","client":"a1","sub":1,"router":"items","where":{},"order":"-n","limit":20,"include":["owner"]}
//   {"do":"subscribe","client":"a1","sub":2,"router":"items","count":true}
//   {"do":"subscribe","client":"a1","sub":3,"channel":"news"}
//   {"do":"throw","client":"a1","sub":1}          the next call of a handler throws, after it was written down
//   {"do":"more","client":"a1","sub":1,"n":5,"tag":"t0"}
//   {"do":"write","client":"a1","sub":1,"verb":"create","data":{},"tag":"t1"}     also update and delete, with key, version
//   {"do":"publish","client":"a1","sub":3,"data":1,"tag":"t2"}
//   {"do":"wake","client":"a1"}                   as if the network came back; "what":"visibilitychange" for a tab that is looked at
//   {"do":"unsubscribe","client":"a1","sub":1}
//   {"do":"close","client":"a1"}
//   {"do":"dump","client":"a1","sub":1}  {"do":"memory"}  {"do":"sync","tag":"t3"}
//
// From it; what has a sub is of this subscription:
//
//   {"event":"ready"}                                              the process listens
//   {"client","sub","event":"ready"}                               the subscription lives for the first time
//   {"client","sub","event":"change","op","key","cursor","row"}    a handler's call each; also mutation. leave and delete have no row
//   {"client","sub","event":"snapshot"|"resync","cursor","rows","keys","reason"}    of a channel only resync, without rows
//   {"client","sub","event":"message","data","cursor"}
//   {"client","sub","event":"count","count"}
//   {"client","sub","event":"status","state","code"}               loading, live, closed
//   {"client","event":"status","state","transport","code","degraded"}    connected, disconnected
//   {"client","sub","event":"error","code","detail"}               a write was refused and rolled back
//   {"client","sub","event":"threw"}                               what a handler threw has been reported, and went no further
//   {"client","sub","event":"written","tag","outcome","key","row","detail"}    of write, publish and more: "ok", or the error's code
//   {"client","sub","event":"dump","state","rows","keys","more","count"}
//   {"event":"memory","heap","timers","left","clients","resources"}    bytes after a collection; timers of the clients, and of closed
//                                                                  ones: an old connection may have one for 5 s
//   {"event":"sync","tag"}                                         all that was asked before was done or begun
//   {"event":"bad","detail","line"}                                what it was told makes no sense
//   {"event":"uncaught","detail"}                                  a fault of the client: nothing may come here
//
// The end of stdin closes all clients, and then the process exits with 0.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// A client with a bug in it, for a checker that is checked.
const { connect, keyOf } = await import(process.env.LIVE_CLIENT ? pathToFileURL(process.env.LIVE_CLIENT).href : "../../../client/dist/live.mjs");

const clients = new Map();
/** The surroundings of clients that are closed, as long as a timer of theirs is left. */
const closed = new Set();

// ---- what it says

let lines = [];

function flush() {
  if (lines.length) process.stdout.write(lines.splice(0).join(""));
}

function say(event) {
  lines.push(JSON.stringify(event) + "\n");
  if (lines.length === 1) setImmediate(flush);
}

/** What a handler throws because it was told to. The client hands it to reportError, which Node does not have: here it is. */
class Thrown extends Error {
  constructor(of) {
    super("told to throw");
    this.of = of;
  }
}

const report = e => say(e instanceof Thrown ? { ...e.of, event: "threw" } : { event: "uncaught", detail: String(e?.stack ?? e) });

globalThis.reportError = report;
process.on("uncaughtException", report); // also of promises that nobody looks after

// ---- what it is told

/** Timers that are counted, and chance that a seed repeats. */
class Surroundings {
  timers = new Set();
  listeners = new Map();

  constructor(seed) {
    this.state = seed;
  }

  env() {
    return {
      setTimeout: (f, ms) => {
        const timer = setTimeout(() => {
          this.timers.delete(timer);
          f();
        }, ms);
        this.timers.add(timer);
        return timer;
      },
      clearTimeout: timer => {
        this.timers.delete(timer);
        clearTimeout(timer);
      },
      on: (event, f) => {
        const all = this.listeners.get(event) ?? new Set();
        this.listeners.set(event, all.add(f));
        return () => all.delete(f);
      },
      ...(this.state !== undefined && { random: () => this.random() }),
    };
  }

  /** mulberry32 */
  random() {
    let t = (this.state += 0x6d2b79f5);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

class Subscription {
  offs = [];
  throws = false;
  state = "";

  constructor(of, feed) {
    this.of = of;
    this.feed = feed;
  }

  /** A handler's call: it is written down, and then throws if it was told to. */
  saw(event) {
    say({ ...this.of, ...event });
    if (!this.throws) return;
    this.throws = false;
    throw new Thrown(this.of);
  }

  /** Says the state when it is another one, and ready for the first that is live. */
  stands({ state, error }) {
    const name = state + " " + (error?.code ?? "");
    if (this.state === name) return;
    this.state = name;
    say({ ...this.of, event: "status", state, code: error?.code, detail: error?.detail });
    if (state !== "live" || this.lived) return;
    this.lived = true;
    say({ ...this.of, event: "ready" });
  }

  outcome(tag, promise) {
    const say_ = more => say({ ...this.of, event: "written", tag, ...more });
    promise.then(
      row => say_({ outcome: "ok", ...(row && { key: keyOf(row), row }) }),
      e => say_({ outcome: e.code ?? "uncaught", detail: e.detail ?? String(e) }),
    );
  }
}

function followList(s, list) {
  s.offs.push(list.on("change", ({ op, rows, ...c }) => s.saw(rows ? { event: op, ...c, rows, keys: rows.map(keyOf) } : { event: "change", op, ...c })));
  s.offs.push(list.on("error", e => s.saw({ event: "error", code: e.code, detail: e.detail })));
  s.offs.push(list.subscribe((_, status) => s.stands(status)));
}

function followChannel(s, channel) {
  s.offs.push(channel.on((data, cursor) => s.saw({ event: "message", data, cursor })));
  s.offs.push(channel.onResync((reason, cursor) => s.saw({ event: "resync", reason, cursor })));
  // Nothing tells of a channel's status: it is looked at.
  const timer = setInterval(() => s.stands(channel.status), 20);
  s.offs.push(() => clearInterval(timer));
}

function followCount(s, count) {
  let told;
  s.offs.push(count.subscribe((value, status) => {
    s.stands(status);
    if (value !== told && value !== undefined) s.saw({ event: "count", count: (told = value) });
  }));
}

function open({ client, url, transports, pollInterval, wait, headers, seed }) {
  if (clients.has(client)) throw new Error("the client is open");
  const around = new Surroundings(seed);
  const live = connect(url, { transports, pollInterval, wait, headers, storage: null, env: around.env() });
  const c = { live, around, subs: new Map() };
  let was;
  live.status.subscribe(({ connected, transport, error, degraded }) => {
    const status = { client, event: "status", state: connected ? "connected" : "disconnected", transport, code: error?.code, degraded };
    const text = JSON.stringify(status);
    if (was !== text) say(status);
    was = text;
  });
  clients.set(client, c);
}

function subscribe({ client, sub, router, channel, count, where, order, limit, include }) {
  const { live, subs } = get(client);
  if (subs.has(sub)) throw new Error("the subscription is there");
  const of = { client, sub };
  const feed = channel !== undefined ? live.channel(channel) : count ? live.count(router, { where }) : live.list(router, { where, order, limit, include });
  const s = new Subscription(of, feed);
  subs.set(sub, s);
  (channel !== undefined ? followChannel : count ? followCount : followList)(s, feed);
}

function unsubscribe({ client, sub }) {
  const { subs } = get(client);
  for (const off of get(client, sub).offs) off();
  subs.delete(sub);
}

function close({ client }) {
  const c = get(client);
  c.live.close();
  for (const s of c.subs.values()) for (const off of s.offs) off();
  clients.delete(client);
  closed.add(c.around);
}

function get(client, sub) {
  const c = clients.get(client);
  if (!c) throw new Error("no such client");
  if (sub === undefined) return c;
  const s = c.subs.get(sub);
  if (!s) throw new Error("no such subscription");
  return s;
}

const verbs = {
  create: (list, { data }) => list.create(data),
  update: (list, { key, data, version }) => list.update(key, data, { version }),
  delete: (list, { key, version }) => list.delete(key, { version }),
};

function dump({ client, sub }) {
  const { of, feed } = get(client, sub);
  const { rows = [], hasMore, value, status } = feed;
  say({ ...of, event: "dump", state: status.state, code: status.error?.code, rows, keys: rows.map(r => feed.key(r)), more: hasMore, count: value });
}

function memory() {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  let timers = 0, left = 0;
  for (const c of clients.values()) timers += c.around.timers.size;
  for (const around of closed) around.timers.size ? (left += around.timers.size) : closed.delete(around);
  say({ event: "memory", heap: process.memoryUsage().heapUsed, timers, left, clients: clients.size, resources: process.getActiveResourcesInfo().length });
}

const commands = {
  open, subscribe, unsubscribe, close, dump, memory,
  throw: ({ client, sub }) => (get(client, sub).throws = true),
  more: ({ client, sub, n, tag }) => get(client, sub).outcome(tag, get(client, sub).feed.more(n)),
  write(command) {
    const s = get(command.client, command.sub), verb = verbs[command.verb];
    if (!verb || !s.feed.create) throw new Error("no such write");
    s.outcome(command.tag, verb(s.feed, command));
  },
  publish: ({ client, sub, data, tag }) => get(client, sub).outcome(tag, get(client, sub).feed.publish(data)),
  wake({ client, what = "online" }) {
    for (const f of get(client).around.listeners.get(what) ?? []) f();
  },
  sync: ({ tag }) => say({ event: "sync", tag }),
};

const input = createInterface({ input: process.stdin, crlfDelay: Infinity });
input.on("line", line => {
  if (!line.trim()) return;
  try {
    const command = JSON.parse(line), run = Object.hasOwn(commands, command.do) && commands[command.do];
    if (!run) throw new Error("no such command");
    run(command);
  } catch (e) {
    say({ event: "bad", detail: String(e.message ?? e), line });
  }
});
input.on("close", () => {
  for (const client of [...clients.keys()]) close({ client });
  flush();
  process.stdout.write("", () => process.exit(0));
});
process.stdout.on("error", () => process.exit(0)); // nobody listens any more

say({ event: "ready" });
