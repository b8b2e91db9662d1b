// What stands between a browser and a server: a cable that can be pulled, or a middlebox that refuses WebSockets.

import { once } from "node:events";
import net from "node:net";

export class Proxy {
  /** Passes bytes on to port. With refuseUpgrade, requests for a WebSocket are refused. */
  static async start(port, { refuseUpgrade = false } = {}) {
    const proxy = new Proxy();
    proxy.sockets = new Set();
    proxy.broken = false;
    proxy.server = net.createServer((client) => {
      if (proxy.broken) return void client.destroy();
      const server = net.connect(port, "127.0.0.1");
      for (const [from, to] of [[client, server], [server, client]]) {
        proxy.sockets.add(from);
        from.on("error", () => {});
        from.on("close", () => {
          proxy.sockets.delete(from);
          to.destroy();
        });
        from.on("data", (bytes) => {
          if (from === client && refuseUpgrade && /^upgrade: *websocket/im.test(bytes.toString("latin1"))) {
            client.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
          } else {
            to.write(bytes);
          }
        });
      }
    });
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  /** Breaks every connection, and each new one, until mend. */
  cut() {
    this.broken = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend() {
    this.broken = false;
  }

  stop() {
    this.server.close();
    this.cut();
  }
}
