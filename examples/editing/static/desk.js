// What both pages share: the connection, its badge, and times. Live is the global of /live/live.js, to which /live/presence.js adds.

const $ = (id) => document.getElementById(id);

const transports = { websocket: "WebSocket", sse: "Server-sent events", longpoll: "Long poll", shortpoll: "Short poll" };
const { transport: wish, person } = document.body.dataset;
// The poll interval matters to short polls alone; the default is two seconds.
export const live = Live.connect("/live/", { transport: wish in transports ? wish : undefined, pollInterval: 1000 });

/** Who is signed in here, by id. */
export const me = person;

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
  badge.hidden = false;
  $("transport").textContent = text;
}
live.status.subscribe(showStatus);
addEventListener("online", showStatus);
addEventListener("offline", showStatus);

/** The address of a page, over the transport that this one was asked for. */
export const address = (path) => (wish ? `${path}?transport=${encodeURIComponent(wish)}` : path);

/** Puts a text into an element, unless it says so already: what is announced is announced once. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Times: how long ago, kept true.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (!(seconds >= 45)) return "just now"; // the future too: clocks differ
  for (const [unit, length] of [["day", 86400], ["hour", 3600]]) {
    if (seconds >= length * 0.95) return relative.format(-Math.round(seconds / length), unit);
  }
  return relative.format(-Math.round(seconds / 60), "minute");
}

/** Puts into a <time> how long ago it was, and keeps that true. */
export function since(element, time) {
  element.dateTime = time;
  put(element, ago(time));
}

for (const element of document.querySelectorAll("time[datetime]")) since(element, element.dateTime);
setInterval(() => {
  for (const element of document.querySelectorAll("time[datetime]")) put(element, ago(element.dateTime));
}, 15_000);
