// A client of live, as small as curl.

import assert from "node:assert/strict";
import { Heard } from "./harness.mjs";

/** Follows a channel of the hub with an event stream, until the test ends. */
export async function follow(t, server, channel) {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const heard = new Heard();
  const answer = await fetch(`${server.url}/live/?channel=${channel}`, { headers: { Accept: "text/event-stream" }, signal: abort.signal });
  assert.equal(answer.status, 200);
  (async () => {
    let text = "";
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const field = (name) => text.slice(0, end).split("\n").filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim()).join("\n");
        if (field("data")) heard.add(field("event"), JSON.parse(field("data")));
      }
    }
  })().catch(() => {}); // it is aborted
  await heard.next("snapshot");
  return heard;
}
