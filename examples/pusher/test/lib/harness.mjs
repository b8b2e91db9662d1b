// The example as a process, and the real libraries pointed at it.

import { randomUUID } from "node:crypto";
import { after, describe } from "node:test";
import { setTimeout as wait } from "node:timers";
import PusherServer from "pusher";
import Pusher from "pusher-js";
import { Server, build } from "../../../browser/lib/server.mjs";

/** How long anything may take before a test says what it waited for: far more than it takes. */
export const patience = 30_000;

/** The app of most tests. */
export const shop = { id: "1", key: "shop-key", secret: "shop-secret" };

/** A name of its own for each channel, so that tests do not hear each other. */
export const unique = (prefix = "") => `${prefix}${randomUUID().slice(0, 13)}`;

// The WebSocket within pusher-js sets a timer of 30 s for one that is closed already, which would keep the process of the tests that long.
globalThis.setTimeout = (f, ms, ...more) => (ms === 30_000 ? wait(f, ms, ...more).unref() : wait(f, ms, ...more));

let binary;

/** Starts the example for the tests of a file, which stop it, with flags besides -addr and -db. */
export async function serve({ apps = [shop], flags = [], ...options } = {}) {
  binary ??= process.env.LIVE_TEST_PUSHER ? JSON.parse(process.env.LIVE_TEST_PUSHER) : await build("pusher");
  const named = apps.flatMap(({ id, key, secret }) => ["-app", `${id}:${key}:${secret}`]);
  const server = await Server.start(binary, { name: unique("db-"), flags: [...named, ...flags], ...options });
  running.add(server);
  return server;
}

const running = new Set();
const connected = new Set();

/** The tests of a file: what they have started and connected ends with them. */
export function suite(name, tests) {
  describe(name, () => {
    tests();
    after(async () => {
      for (const pusher of connected) pusher.disconnect();
      await Promise.allSettled([...running].map((server) => server.kill()));
      if (!process.env.LIVE_TEST_PUSHER) await binary?.clean();
    });
  });
}

/** Waits for a promise, and says what for when it does not come. */
export async function within(promise, what) {
  let timer;
  const late = new Promise((_, fail) => (timer = wait(() => fail(new Error(`${patience / 1000} s passed without ${what()}`)), patience)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** All that somebody is told, in its order, for whoever waits for it. */
export class Heard {
  constructor() {
    this.all = [];
    this.rest = []; // what nobody has waited for
    this.waiting = [];
  }

  add(event, data, meta) {
    const heard = { event, data, meta };
    this.all.push(heard);
    this.rest.push(heard);
    for (const check of [...this.waiting]) check();
  }

  /** Waits for the next event of a name, or the next that passes a test, and returns its data. Those before it are passed over. */
  async next(wanted) {
    const is = typeof wanted === "function" ? wanted : ({ event }) => event === wanted;
    const found = new Promise((resolve) => {
      const check = () => {
        const at = this.rest.findIndex(is);
        if (at < 0) return;
        const [heard] = this.rest.splice(0, at + 1).slice(-1);
        this.waiting = this.waiting.filter((other) => other !== check);
        resolve(heard.data);
      };
      this.waiting.push(check);
      check();
    });
    return within(found, () => `${wanted}; there came ${JSON.stringify(this.all.map(({ event, data }) => [event, data]))}`);
  }

  /** The names of all that came, but for the protocol's own. */
  get events() {
    return this.all.map(({ event }) => event).filter((event) => !event.startsWith("pusher:"));
  }
}

/** Hears all that comes to a channel of pusher-js. */
export function hear(channel) {
  const heard = new Heard();
  channel.bind_global((event, data, meta) => heard.add(event, data, meta));
  return heard;
}

/** Makes a client that is somebody to the example's own endpoints. It need not be connected yet: see connect. */
export function client(server, { name = "Ann", app = shop, watch = "", ...options } = {}) {
  const at = (path) => `${server.url}${path}?app=${app.id}`;
  const pusher = new Pusher(app.key, {
    cluster: "", wsHost: "127.0.0.1", wsPort: server.port, forceTLS: false, enabledTransports: ["ws", "wss"], disableStats: true,
    channelAuthorization: { endpoint: at("/pusher/auth"), params: { name } },
    userAuthentication: { endpoint: at("/pusher/user-auth"), params: { name, watch } },
    ...options,
  });
  connected.add(pusher);
  pusher.frames = new Heard(); // all frames that come
  pusher.connection.bind("message", (frame) => pusher.frames.add(frame.event, frame));
  pusher.errors = new Heard();
  pusher.connection.bind("error", ({ data, error }) => { // of a connection that is refused it is in another place
    const problem = data ?? error?.data;
    pusher.errors.add(problem?.code ?? "no code", problem);
  });
  pusher.states = new Heard();
  pusher.connection.bind("state_change", ({ current }) => pusher.states.add(current));
  return pusher;
}

/** Makes a client, and waits until it is connected. */
export async function connect(server, options) {
  const pusher = client(server, options);
  if (pusher.connection.state !== "connected") await pusher.states.next("connected");
  return pusher;
}

/** Subscribes to a channel, and returns it, with what it hears, once it is. */
export async function subscribe(pusher, name) {
  const channel = pusher.subscribe(name);
  channel.heard = hear(channel);
  channel.first = await channel.heard.next("pusher:subscription_succeeded");
  return channel;
}

/** Waits until the server has taken all that a client sent before. */
export async function settled(pusher) {
  pusher.send_event("pusher:ping", {});
  await pusher.frames.next("pusher:pong");
}

/** The server library, for an app. */
export function library(server, { id, key, secret } = shop, options) {
  return new PusherServer({ appId: id, key, secret, host: "127.0.0.1", port: String(server.port), useTLS: false, ...options });
}

/** Asks again until an answer is as it should be: for what the server comes to know by itself, and tells nobody. */
export async function until(ask, is) {
  let last;
  const end = Date.now() + patience;
  for (;;) {
    last = await ask();
    if (is(last)) return last;
    if (Date.now() > end) throw new Error(`${patience / 1000} s passed, and the answer is ${JSON.stringify(last)}`);
    await new Promise((again) => wait(again, 20));
  }
}

/** The JSON that a GET of the server library is answered with. */
export const get = async (pusher, path, params) => (await pusher.get({ path, params })).json();
