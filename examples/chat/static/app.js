// The page. Live is the global of /live/live.js and /live/presence.js: it keeps a live copy of the rows that the page asks for, and everything below only draws
// what it says and tells it what somebody did. Whatever people wrote reaches the page as text, never as HTML.

import { avatar } from "./people.js";
import { showHere } from "./here.js";
import { showMenu } from "./menu.js";
import { showMessages } from "./messages.js";
import { showNotes } from "./notes.js";
import { showRooms } from "./rooms.js";
import { showWriting } from "./writing.js";

const $ = (id) => document.getElementById(id);

const transports = { websocket: "WebSocket", sse: "Server-sent events", longpoll: "Long poll", shortpoll: "Short poll" };
const wish = new URLSearchParams(location.search).get("transport");
// The poll interval matters to short polls alone; the default is two seconds.
const live = Live.connect("/live/", { transport: wish in transports ? wish : undefined, pollInterval: 1000 });

const { me, name, hue } = document.body.dataset;
avatar($("my-avatar"), { name, hue });

// The badge: how the page is connected, and whether.

// Whether the page is on its way to the login page. A second navigation would only abort the first.
let leaving = false;
$("me").addEventListener("submit", () => (leaving = true));

function showStatus() {
  const { transport, connected, degraded, error } = live.status.current;
  if (error?.status === 401 && !leaving) {
    leaving = true; // signed out, elsewhere in this browser
    location.assign("/login");
  }
  const [state, text, more] = connected
    ? degraded
      ? ["late", "Messages come late", "The server has trouble; nothing is lost"]
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

let vanish;
const page = {
  live,
  me: { id: Number(me), name, hue: Number(hue) },
  // The address says which room is shown: #/7.
  route: () => Number(location.hash.match(/^#\/(\d+)$/)?.[1]) || undefined,
  wide: matchMedia("(min-width: 46rem)"),
  // Whether somebody is looking at the page.
  looked: () => document.visibilityState === "visible" && document.hasFocus(),
  // News, for those who listen.
  say(text) {
    $("news").textContent = text;
  },
  // What went wrong, for those who look.
  toast(text) {
    clearTimeout(vanish);
    $("toast").textContent = text;
    $("toast").hidden = false;
    vanish = setTimeout(() => ($("toast").hidden = true), 6000);
  },
  // Asks before something is gone.
  ask(question, detail, yes, then) {
    $("confirm-question").textContent = question;
    $("confirm-detail").textContent = detail;
    $("confirm-yes").textContent = yes;
    const dialog = $("confirm");
    dialog.returnValue = "";
    dialog.showModal();
    dialog.onclose = () => dialog.returnValue === "yes" && then();
  },
  // Where each room has been read up to, on any device, and unread notifications.
  marks: live.list("marks"),
  calls: live.list("notifications", { where: { read: false }, order: "-id", limit: 100 }),
};
page.mark = (room) => page.marks.rows.find((mark) => mark.room_id === room)?.message_id ?? 0;

const here = showHere(page);
const messages = showMessages(page);
const writing = showWriting(page, { editLast: () => messages.editLast(), typing: here.typing });
const menu = showMenu(page);
showNotes(page);
const rooms = showRooms(page, {
  here,
  show(room) {
    here.show(room);
    messages.show(room);
    writing.show(room);
    menu.show(room);
  },
});
// The room that is shown knows itself what is unread in it.
messages.onUnread = (n) => rooms.unreadHere(n);
