// The log that several servers share: a Redis of the test's own, which keeps its data when it is killed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export class Redis {
  /** Starts redis-server on a free port, below those that systems hand out by themselves, so that nobody takes it meanwhile. */
  static async start() {
    const redis = new Redis();
    redis.directory = await mkdtemp(join(tmpdir(), "live-redis-"));
    for (let attempt = 1; ; attempt++) {
      redis.port = 20_000 + Math.floor(Math.random() * 12_000);
      try {
        await redis.resume();
        return redis;
      } catch (error) {
        if (attempt < 20 && error.code !== "ENOENT") continue;
        await redis.stop();
        throw new Error(`No Redis could be started (the package redis-server): ${error.message}`);
      }
    }
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again, at the same place with its data, and returns when it takes commands. */
  async resume() {
    const process = spawn("redis-server", ["--port", this.port, "--bind", "127.0.0.1", "--dir", this.directory, "--save", "", "--appendonly", "yes", "--appendfsync", "no"],
      { stdio: ["ignore", "pipe", "ignore"] });
    const exit = once(process, "exit"); // an error to start it, too
    exit.catch(() => {});
    await new Promise((ready, failed) => {
      exit.then(([code]) => failed(new Error(`it ended with ${code}`)), failed);
      createInterface(process.stdout).on("line", (line) => line.includes("Ready to accept connections") && ready());
    });
    this.process = process;
    this.exit = exit;
  }

  /** Ends it without a word. */
  async kill() {
    this.process?.kill("SIGKILL");
    await this.exit;
  }

  async stop() {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}
