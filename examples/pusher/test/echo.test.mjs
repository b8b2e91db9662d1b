// Laravel Echo, with both of its broadcasters that speak this protocol.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import Echo from "laravel-echo";
import Pusher from "pusher-js";
import { Heard, library, serve, shop, suite, unique } from "./lib/harness.mjs";

for (const broadcaster of ["pusher", "reverb"]) {
  suite(`Laravel Echo with ${broadcaster}`, () => {
    let server;
    before(async () => (server = await serve()));

    /** Makes an Echo that is somebody. */
    function echo(t, name = "Ann") {
      const made = new Echo({
        broadcaster, Pusher, key: shop.key, ...(broadcaster === "pusher" && { cluster: "" }),
        wsHost: "127.0.0.1", wsPort: server.port, forceTLS: false, enabledTransports: ["ws", "wss"], disableStats: true,
        authEndpoint: `${server.url}/broadcasting/auth`, auth: { params: { name }, headers: {} },
        channelAuthorization: { endpoint: `${server.url}/broadcasting/auth`, params: { name } },
      });
      t.after(() => made.disconnect());
      return made;
    }

    /** Waits until a channel of Echo's is subscribed. */
    async function subscribed(channel) {
      const heard = new Heard();
      channel.subscribed(() => heard.add("subscribed"));
      channel.error((problem) => heard.add("refused", problem));
      await heard.next("subscribed");
      return channel;
    }

    test("listens to events of Laravel on public and private channels", async (t) => {
      const ann = echo(t), heard = new Heard();
      const news = unique("news-"), orders = unique("orders-");
      await subscribed(ann.channel(news).listen("Published", (data) => heard.add("Published", data)));
      await subscribed(ann.private(orders).listen("OrderShipped", (data) => heard.add("OrderShipped", data)).listen(".raw", (data) => heard.add("raw", data)));
      await library(server).trigger(news, "App\\Events\\Published", { title: "new" });
      assert.deepEqual(await heard.next("Published"), { title: "new" });
      await library(server).trigger(`private-${orders}`, "App\\Events\\OrderShipped", { order: { id: 7 } });
      assert.deepEqual(await heard.next("OrderShipped"), { order: { id: 7 } });
      await library(server).trigger(`private-${orders}`, "raw", {}, { socket_id: ann.socketId() });
      await library(server).trigger(`private-${orders}`, "App\\Events\\OrderShipped", { order: { id: 8 } });
      assert.deepEqual(await heard.next("OrderShipped"), { order: { id: 8 } });
      assert.deepEqual(heard.events, ["Published", "OrderShipped", "OrderShipped"]); // toOthers() tells the others alone
    });

    test("knows who is here, who joins and who leaves", async (t) => {
      const room = unique("room-"), heard = new Heard(), ann = echo(t), ben = echo(t, "Ben");
      ann.join(room).here((users) => heard.add("here", users)).joining((user) => heard.add("joining", user)).leaving((user) => heard.add("leaving", user));
      assert.deepEqual(await heard.next("here"), [{ name: "Ann" }]);
      const theirs = new Heard();
      ben.join(room).here((users) => theirs.add("here", users));
      assert.deepEqual((await theirs.next("here")).map(({ name }) => name).sort(), ["Ann", "Ben"]);
      assert.deepEqual(await heard.next("joining"), { name: "Ben" });
      ben.leave(room);
      assert.deepEqual(await heard.next("leaving"), { name: "Ben" });
    });

    test("whispers to the others", async (t) => {
      const room = unique("room-"), heard = new Heard(), ann = echo(t), ben = echo(t, "Ben");
      await subscribed(ann.private(room).listenForWhisper("typing", (data) => heard.add("typing", data)));
      await subscribed(ben.private(room));
      ben.private(room).whisper("typing", { name: "Ben" });
      assert.deepEqual(await heard.next("typing"), { name: "Ben" });
    });

    test("is told when it is refused", async (t) => {
      const heard = new Heard();
      echo(t).private("for-Ben").error((problem) => heard.add("refused", problem));
      assert.equal((await heard.next("refused")).status, 403);
    });

    test("reads encrypted channels", async (t) => {
      const name = unique("secret-"), heard = new Heard();
      echo(t).encryptedPrivate(name).subscribed(() => heard.add("subscribed")).error((problem) => heard.add("refused", problem));
      await heard.next("subscribed");
    });
  });
}
