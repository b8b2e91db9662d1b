// Node's http server in front of a Server: real sockets, for what has to be tried over them.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import type { Server } from "./server.ts";

export async function listen(server: Server): Promise<{ url: string; close(): void }> {
  const http = createServer(async (request, response) => {
    const abort = new AbortController();
    response.on("close", () => abort.abort());
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    try {
      const answer = await server.fetch(`http://host.test${request.url}`, { body, headers: request.headers as never, signal: abort.signal });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.flushHeaders();
      Readable.fromWeb(answer.body as never).on("error", () => response.destroy()).pipe(response);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>(resolve => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/live/`,
    close() {
      http.close();
      http.closeAllConnections();
    },
  };
}
