// The page. Live is the global of /live/live.js: it keeps a live copy of the rows that the page asks for, and everything
// below only draws what it says and tells it what the visitor did.

import { avatar } from "./people.js";
import { showLists } from "./lists.js";
import { showTodos } from "./todos.js";

const $ = (id) => document.getElementById(id);

const transports = { websocket: "WebSocket", sse: "Server-sent events", longpoll: "Long poll", shortpoll: "Short poll" };
const wish = new URLSearchParams(location.search).get("transport");
// The poll interval matters to short polls alone; the default is two seconds.
const live = Live.connect("/live/", { transport: wish in transports ? wish : undefined, pollInterval: 1000 });

avatar($("my-avatar"), document.body.dataset.visitor);

// The badge: how the page is connected, and whether.

function showStatus() {
  const { transport, connected, degraded } = live.status.current;
  const [state, text, more] = connected
    ? degraded
      ? ["late", "Changes come late", "The server has trouble; nothing is lost"]
      : ["live", transports[transport], "What you see is what there is"]
    : navigator.onLine
      ? ["connecting", "Connecting…", "What you see may be a little old"]
      : ["offline", "Offline", "What you see may be a little old"];
  const badge = $("badge");
  badge.dataset.state = state;
  badge.title = more;
  $("transport").textContent = text;
}
live.status.subscribe(showStatus);
addEventListener("online", showStatus);
addEventListener("offline", showStatus);

// The address says which list is shown, and what of it: #/7/open.

function route() {
  const [, id, filter] = location.hash.match(/^#\/(\d+)(?:\/(open|done))?$/) ?? [];
  return { listID: id ? Number(id) : undefined, filter: filter ?? "all" };
}

const address = (listID, filter = "all") => `#/${listID}${filter === "all" ? "" : `/${filter}`}`;

// News: what somebody else did, for those who listen; and what went wrong, for those who look.

let vanish;
const page = {
  live,
  route,
  address,
  visitor: document.body.dataset.visitor,
  say(text) {
    $("news").textContent = text;
  },
  toast(text) {
    clearTimeout(vanish);
    $("toast").textContent = text;
    $("toast").hidden = false;
    vanish = setTimeout(() => ($("toast").hidden = true), 6000);
  },
};

let lists;
const show = showTodos(page, { count: (counts) => lists?.count(counts) });
lists = showLists(page, { show });
addEventListener("hashchange", lists.choose);
