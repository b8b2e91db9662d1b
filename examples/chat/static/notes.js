// Notifications: what concerns one, the same on all devices. Where the browser is allowed to it also tells outside of the page.

import { at, day } from "./people.js";
import { rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

export function showNotes(page) {
  const { live } = page;
  const list = live.list("notifications", { order: "-id", limit: 20 });
  const count = live.count("notifications", { where: { read: false } });
  const drawn = new WeakMap(); // element → notification

  const read = (note) => {
    if (!note.read) live.call("notifications", "read", { key: note.id }).catch((problem) => page.toast(problem.detail));
  };

  const draw = rows($("notes-list"), $("note-row"), {
    key: (note) => list.key(note),
    made(item) {
      item.querySelector("a").addEventListener("click", () => {
        read(drawn.get(item));
        $("notes").hidePopover();
      });
      item.querySelector("button").addEventListener("click", () => read(drawn.get(item)));
    },
    fill(item, note) {
      drawn.set(item, note);
      item.classList.toggle("read", note.read);
      item.querySelector("a").href = note.link.replace(/^\//, "");
      item.querySelector(".title").textContent = note.title;
      item.querySelector(".quote").textContent = note.body;
      at(item.querySelector("time"), note.created_at);
      item.querySelector("time").prepend(`${day(note.created_at)}, `);
      item.querySelector("button").hidden = note.read;
    },
  });
  list.subscribe((notes, { state }) => {
    if (state === "loading") return;
    draw(notes);
    $("notes-empty").hidden = notes.length > 0;
    $("notes-more").hidden = !list.hasMore;
  });
  count.subscribe((n = 0) => {
    $("bell-count").textContent = n > 99 ? "99+" : n;
    $("bell-count").hidden = $("read-all").disabled = !n;
    $("read-all").disabled = !n;
    $("bell").setAttribute("aria-label", n ? `Notifications, ${n} unread` : "Notifications");
  });
  $("notes-more").addEventListener("click", () => list.more().catch((problem) => page.toast(problem.detail)));
  // What came while the list was looked at is not meant.
  $("read-all").addEventListener("click", () => live.call("notifications", "read_all", { data: { up_to: list.rows[0]?.id ?? 0 } }).catch((problem) => page.toast(problem.detail)));

  outside(page, list);
}

// outside shows what comes while nobody looks as notifications of the system, if that is allowed, and takes them away when it was read on
// another device.
function outside(page, list) {
  if (!("Notification" in window)) return;
  const shown = new Map(); // id → Notification
  const allow = $("allow");
  allow.hidden = Notification.permission !== "default";
  allow.addEventListener("click", async () => {
    allow.hidden = (await Notification.requestPermission()) !== "default";
  });
  list.on("change", (change) => {
    if (change.op === "create" && !page.looked() && Notification.permission === "granted") {
      const { id, title, body, link } = change.row;
      try {
        const note = new Notification(title, { body, tag: `chat-${id}`, icon: "/static/icon.svg" });
        note.onclick = () => {
          focus();
          location.hash = link.replace(/^\/#/, "#");
          note.close();
        };
        shown.set(change.key, note);
      } catch {
        // Phones want a service worker for it, which an application that is installed there would have.
      }
    } else if (change.op === "delete" || change.op === "leave" || change.row?.read) {
      shown.get(change.key)?.close();
      shown.delete(change.key);
    }
  });
}
