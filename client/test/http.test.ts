// Over real sockets: Node's http server in front of the same server, and the built files.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";
import * as source from "../src/index.ts";
import type { connect as builtConnect, LiveError as BuiltError, keyOf as builtKey } from "../dist/live.d.ts";
import type { TransportName } from "../src/types.ts";
import { listen } from "./listen.ts";
import { Server } from "./server.ts";

// The typings are the sources'.
const same: { connect: typeof builtConnect<undefined>; LiveError: typeof BuiltError; keyOf: typeof builtKey } = source;
void same;

const built = { mjs: new URL("../dist/live.mjs", import.meta.url).href, js: new URL("../dist/live.js", import.meta.url) };

for (const transport of ["sse", "longpoll"] as TransportName[]) {
  test(`the built module over ${transport}`, async () => {
    const server = new Server();
    server.write("1", { title: "ä😀" });
    const { url, close } = await listen(server);
    const { connect } = (await import(built.mjs)) as typeof source;
    const live = connect(url, { transport, WebSocket: undefined as never });
    const list = live.list<{ title: string }>("todos");
    const got: string[] = [];
    const three = new Promise<void>(resolve => list.subscribe(rows => {
      got.push(rows.map(r => r.title).join(" "));
      if (rows.length === 3) resolve();
    }));
    assert.deepEqual((await list.ready).map(r => r.title), ["ä😀"]);
    server.write("2", { title: "b" });
    assert.equal((await list.create({ title: "c" }))!.title, "c");
    await three;
    assert.equal(got.at(-1), "ä😀 b c");
    await assert.rejects(list.create({ title: "" }), { name: "LiveError", code: "invalid_value" });
    live.close();
    close();
  });
}

test("the classic script defines Live, and nothing else", () => {
  const globals: Record<string, unknown> = {};
  globals["globalThis"] = globals;
  vm.runInNewContext(readFileSync(built.js, "utf8"), globals);
  assert.deepEqual(Object.keys(globals).filter(k => k !== "globalThis"), ["Live"]);
  assert.deepEqual(Object.keys(globals["Live"] as object).sort(), Object.keys(source).sort());
});

test("a relative URL needs a page", () => {
  assert.throws(() => source.connect("/live/"), { code: "ERR_INVALID_URL" });
});
