// A proxy before several servers that knows no stickiness: each request goes to the next server, whoever asks.

import { once } from "node:events";
import http from "node:http";

export class RoundRobin {
  /** Starts it before servers, of which each has a port; one that takes no connection is passed over. */
  static async start(servers) {
    const proxy = new RoundRobin();
    proxy.servers = servers;
    proxy.turns = { requests: 0, sockets: 0 };
    proxy.sockets = [];
    proxy.resyncs = 0;
    proxy.front = http.createServer((request, response) => proxy.#pass(request, response));
    proxy.front.on("upgrade", (request, socket, head) => proxy.#connect(request, socket, head));
    proxy.front.listen(0, "127.0.0.1");
    await once(proxy.front, "listening");
    proxy.url = `http://127.0.0.1:${proxy.front.address().port}`;
    return proxy;
  }

  /** Sends a request to the next server that is there, and returns what came of it; streams take turns of their own. */
  async #send(request, body, kind) {
    let failure;
    for (const _ of this.servers) {
      const server = this.servers[this.turns[kind]++ % this.servers.length];
      const sent = http.request({ host: "127.0.0.1", port: server.port, method: request.method, path: request.url, headers: request.headers, agent: false });
      sent.end(body);
      try {
        return await new Promise((resolve, reject) => {
          sent.on("response", (answer) => resolve({ server, answer }));
          sent.on("upgrade", (answer, socket, head) => {
            socket.unshift(head); // what came with the answer
            resolve({ server, answer, socket });
          });
          sent.on("error", reject);
        });
      } catch (error) {
        failure = error;
        if (error.code !== "ECONNREFUSED") break; // it may have done something
      }
    }
    throw failure;
  }

  async #pass(request, response) {
    try {
      const body = Buffer.concat(await request.toArray());
      const { answer } = await this.#send(request, body, "requests");
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      this.#count(answer);
      answer.on("error", () => response.destroy()); // the server died in the middle of it
      response.on("close", () => answer.destroy());
    } catch {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    }
  }

  async #connect(request, client, head) {
    client.on("error", () => {});
    client.unshift(head);
    try {
      const { server, answer, socket } = await this.#send(request, undefined, "sockets");
      if (!socket) throw new Error(`refused with ${answer.statusCode}`);
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      this.sockets.push({ server, client });
      this.#count(socket);
      for (const [from, to] of [[client, socket], [socket, client]]) {
        from.on("error", () => {});
        from.on("close", () => to.destroy());
        from.pipe(to);
      }
    } catch {
      client.end("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n");
    }
  }

  /** Counts who is told to begin anew, because what came after his cursor is not known any more. */
  #count(stream) {
    const begin = '{"type":"resync"';
    let rest = "";
    stream.on("data", (bytes) => {
      const text = rest + bytes.toString("latin1");
      this.resyncs += text.split(begin).length - 1;
      rest = text.slice(1 - begin.length); // it may go on in what comes next
    });
  }

  /** The server to which the WebSocket went that was opened last. */
  latest() {
    return this.sockets.at(-1).server;
  }

  stop() {
    this.front.close();
    this.front.closeAllConnections();
    for (const { client } of this.sockets) client.destroy();
  }
}
