// Three servers that share a log and a database, behind a proxy that sends each request to another one.

import { Redis } from "./redis.mjs";
import { RoundRobin } from "./round-robin.mjs";
import { Server, build } from "./server.mjs";

export class Cluster {
  /** Builds an example and starts it three times. What was started is stopped again when that fails. */
  static async start(example) {
    const cluster = new Cluster();
    cluster.servers = [];
    try {
      cluster.app = await build(example);
      cluster.redis = await Redis.start();
      for (let i = 0; i < 3; i++) cluster.servers.push(await Server.start(cluster.app, { name: "shared", broker: cluster.redis.url }));
      cluster.proxy = await RoundRobin.start(cluster.servers);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get url() {
    return this.proxy.url;
  }

  /** Ends a server without a word, and returns what starts another one in its place. */
  async kill(server) {
    await server.kill();
    return async () => (this.servers[this.servers.indexOf(server)] = await server.restart());
  }

  async stop() {
    this.proxy?.stop();
    await Promise.allSettled([this.redis?.stop(), ...this.servers.map((server) => server.kill())]);
    await this.app?.clean();
  }
}
