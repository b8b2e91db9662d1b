// A WebSocket that sends what no library would: as little of RFC 6455 as that takes.

import { randomBytes } from "node:crypto";
import http from "node:http";
import { Heard, within } from "./harness.mjs";

export class Socket {
  /** Opens one; what comes is in heard, the close as "closed" with its code. */
  static async open(url) {
    const request = http.get(url, {
      headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": randomBytes(16).toString("base64") },
    });
    const socket = new Socket();
    socket.heard = new Heard();
    const opened = new Promise((open, fail) => {
      request.on("error", fail);
      request.on("upgrade", (_, stream, head) => {
        socket.stream = stream;
        socket.bytes = Buffer.from(head);
        stream.on("error", () => {});
        stream.on("data", (more) => {
          socket.bytes = Buffer.concat([socket.bytes, more]);
          socket.#read();
        });
        socket.#read();
        open(socket);
      });
    });
    return within(opened, () => `an upgrade of ${url}`);
  }

  #read() {
    for (;;) {
      const { bytes } = this;
      if (bytes.length < 2) return;
      let at = 2, length = bytes[1] & 127;
      if (length === 126) [length, at] = [bytes.length < 4 ? Infinity : bytes.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = [bytes.length < 10 ? Infinity : Number(bytes.readBigUInt64BE(2)), 10];
      if (bytes.length < at + length) return;
      const payload = bytes.subarray(at, at + length);
      this.bytes = bytes.subarray(at + length);
      const kind = bytes[0] & 15;
      if (kind === 1) {
        const frame = JSON.parse(payload.toString());
        this.heard.add(frame.event, frame);
      } else if (kind === 8) {
        this.heard.add("closed", payload.length < 2 ? 1005 : payload.readUInt16BE(0));
        this.stream.end();
      } else if (kind === 9) {
        this.#write(10, payload);
      }
    }
  }

  send(text) {
    this.#write(1, Buffer.from(typeof text === "string" ? text : JSON.stringify(text)));
  }

  #write(kind, payload) {
    const head = payload.length < 126 ? Buffer.from([128 | kind, 128 | payload.length]) : Buffer.from([128 | kind, 254, payload.length >> 8, payload.length & 255]);
    this.stream.write(Buffer.concat([head, Buffer.alloc(4), payload])); // masked with zeros
  }

  close() {
    this.stream.destroy();
  }
}
