// The checker's agent, as the checker uses it: a process that is told what to do by lines, and tells what the handlers saw.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { listen } from "./listen.ts";
import { Server } from "./server.ts";

type Event = Record<string, any>;

class Agent {
  events: Event[] = [];
  private process = spawn(process.execPath, ["--experimental-websocket", new URL("../../internal/checker/agent/agent.mjs", import.meta.url).pathname], { stdio: ["pipe", "pipe", "pipe"] });
  private news: (() => void)[] = [];
  /** What stood on stderr, and how it ended. */
  errors = "";
  end = once(this.process, "close") as Promise<[number]>;

  constructor() {
    this.process.stderr!.setEncoding("utf8").on("data", text => (this.errors += text));
    createInterface({ input: this.process.stdout! }).on("line", line => {
      this.events.push(JSON.parse(line) as Event);
      for (const f of this.news.splice(0)) f();
    });
  }

  tell(...commands: object[]): void {
    for (const c of commands) this.process.stdin!.write(JSON.stringify(c) + "\n");
  }

  raw(text: string): void {
    this.process.stdin!.write(text);
  }

  finish(): void {
    this.process.stdin!.end();
  }

  /** The first event that has all these members, when it is there; it and those before it are taken away. */
  async hear(like: Event): Promise<Event> {
    for (;;) {
      const at = this.events.findIndex(e => Object.entries(like).every(([k, v]) => JSON.stringify(e[k]) === JSON.stringify(v)));
      if (at >= 0) return this.events.splice(0, at + 1).pop()!;
      const over = await Promise.race([this.end, new Promise<void>(resolve => this.news.push(resolve))]);
      assert.ok(!over, `ended without ${JSON.stringify(like)}: ${this.errors}`);
    }
  }
}

test("the agent does what it is told, and tells what its handlers see", { timeout: 60_000 }, async () => {
  const server = new Server(), { url, close } = await listen(server), agent = new Agent();
  try {
    server.write("1", { title: "a", n: 1 });
    await agent.hear({ event: "ready" });
    agent.tell({ do: "open", client: "a1", url, transports: ["sse"], seed: 1 }, { do: "open", client: "a2", url, transports: ["longpoll", "shortpoll"], pollInterval: 50 });
    agent.tell({ do: "subscribe", client: "a1", sub: 1, router: "todos", order: "n", limit: 2 });
    const start = await agent.hear({ client: "a1", sub: 1, event: "snapshot" });
    assert.deepEqual([start["cursor"], start["keys"], start["rows"]], ["ep.0001", ["1"], [{ id: 1, title: "a", n: 1 }]]);
    await agent.hear({ client: "a1", sub: 1, event: "ready" });

    agent.tell({ do: "subscribe", client: "a2", sub: 1, router: "todos" }, { do: "subscribe", client: "a2", sub: 2, channel: "news" }, { do: "subscribe", client: "a2", sub: 3, router: "todos", count: true });
    await agent.hear({ client: "a2", sub: 3, event: "count", count: 1 });
    await agent.hear({ client: "a2", sub: 2, event: "ready" });

    // A handler that throws: it was written down, it was reported, and neither it nor another misses anything.
    agent.tell({ do: "throw", client: "a2", sub: 1 }, { do: "sync", tag: "s" });
    await agent.hear({ event: "sync", tag: "s" });
    server.write("2", { title: "b", n: 0 });
    await agent.hear({ client: "a2", sub: 1, event: "change", op: "create", key: "2", cursor: "ep.0002" });
    await agent.hear({ client: "a2", sub: 1, event: "threw" });
    server.write("2", { title: "B" });
    const change = await agent.hear({ client: "a2", sub: 1, event: "change", op: "update" });
    assert.deepEqual([change["key"], change["cursor"], change["row"]], ["2", "ep.0003", { id: 2, title: "B", n: 0 }]);
    agent.tell({ do: "publish", client: "a1", sub: 9, data: 1 });
    await agent.hear({ event: "bad", detail: "no such subscription" });
    agent.tell({ do: "publish", client: "a2", sub: 2, data: { text: "x" }, tag: "p" });
    await agent.hear({ client: "a2", sub: 2, event: "message", data: { text: "x" }, cursor: "ep.0004" });

    agent.tell({ do: "write", client: "a1", sub: 1, verb: "update", key: "1", data: { title: "A" }, tag: "t1" });
    assert.deepEqual((await agent.hear({ client: "a1", event: "written", tag: "t1" }))["row"], { id: 1, title: "A", n: 1 });
    agent.tell({ do: "write", client: "a1", sub: 1, verb: "create", data: { title: "" }, tag: "t2" });
    await agent.hear({ client: "a1", event: "written", tag: "t2", outcome: "invalid_value" });
    agent.tell({ do: "dump", client: "a1", sub: 1 });
    const dump = await agent.hear({ client: "a1", sub: 1, event: "dump" });
    assert.deepEqual([dump["state"], dump["keys"], dump["more"]], ["live", ["2", "1"], false]);

    server.trim();
    server.epoch = "other";
    server.break();
    await agent.hear({ client: "a1", sub: 1, event: "resync", reason: "epoch" });
    server.wake();
    agent.raw("{nonsense\n");
    await agent.hear({ event: "bad", line: "{nonsense" });
    agent.tell({ do: "unsubscribe", client: "a1", sub: 1 }, { do: "close", client: "a1" }, { do: "memory" });
    assert.equal((await agent.hear({ event: "memory" }))["clients"], 1);
    agent.finish();
    assert.deepEqual(await agent.end, [0, null], agent.errors);
    assert.equal(agent.errors.replace(/^.*(ExperimentalWarning|--trace-warnings).*\n/gm, ""), "");
    assert.equal(agent.events.filter(e => e["event"] === "uncaught").length, 0);
  } finally {
    agent.finish();
    close();
  }
});
