// The messages of the room that is shown, newest at the bottom.

import { at, avatar, day, wrong } from "./people.js";
import { rows } from "./rows.js";
import { write } from "./text.js";

const $ = (id) => document.getElementById(id);

const pageful = 30;
const together = 5 * 60_000; // messages of one person within this time stand under one name

export function showMessages(page) {
  const { live, me } = page;
  const scroll = $("scroll");
  let room;
  let list; // its newest messages, newest first
  let draw;
  let all = []; // as drawn, oldest first
  let stop = () => {};
  let divider; // the message above which "New" stands: the first that was unread when somebody came to the room, or back to it
  let watching = true; // whether that is still to be found
  let drawn; // the newest message that was drawn, to tell what is new
  const seen = new Set(); // notifications that the server was told of
  let asking = false; // whether it is being told
  let marked = 0; // up to where the server was told that it was read
  let fresh = 0; // messages that came while somebody read further up
  const api = { onUnread: () => {} };

  const atBottom = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
  const toBottom = () => (scroll.scrollTop = scroll.scrollHeight);
  const mine = (message) => (message.author_id ?? me.id) === me.id; // one that was just sent has no author yet
  const author = (message) => (mine(message) ? me : message.author);

  // read tells the server how far this room was read, when somebody looks at its end; what he was told of the room is read with it.
  const read = () => {
    if (!room || asking || !page.looked() || !atBottom() || list.status.state !== "live" || page.marks.status.state !== "live") return;
    const newest = all.findLast((message) => message.id)?.id ?? 0;
    const notes = page.calls.rows.filter((note) => note.topic === `room:${room.id}` && note.item <= newest && !seen.has(note.id));
    if (newest <= Math.max(marked, page.mark(room.id)) && !notes.length) return;
    marked = newest;
    for (const note of notes) seen.add(note.id);
    asking = true;
    const of = room.id;
    const done = (ok) => {
      asking = false;
      if (ok) read();
      else if (room?.id === of) marked = 0; // the next message tries again
    };
    live.call("rooms", "read", { key: of, data: { message: newest } }).then(() => done(true), () => done(false));
  };

  const tellUnread = () => {
    if (!room) return;
    const from = Math.max(page.mark(room.id), marked);
    api.onUnread(all.filter((message) => message.id > from && !mine(message)).length);
  };

  const showNewer = () => {
    $("newer").hidden = !fresh;
    $("newer").textContent = fresh === 1 ? "1 new message ↓" : `${fresh} new messages ↓`;
  };

  // What came since the last time is said to those who listen, and counted for those who read further up.
  const announce = (bottom) => {
    const news = drawn === undefined ? [] : all.filter((message) => message.id > drawn && !mine(message));
    drawn = Math.max(drawn ?? 0, all.findLast((message) => message.id)?.id ?? 0);
    if (news.length && document.visibilityState === "visible") page.say(news.map((message) => `${message.author?.name ?? ""}: ${message.text}`).join("\n"));
    if (!bottom) fresh += news.length;
    showNewer();
  };

  const show = (chosen) => {
    if (chosen?.id === room?.id) return;
    stop();
    stop = () => {};
    room = chosen;
    all = [];
    drawn = undefined;
    marked = fresh = 0;
    divider = undefined;
    watching = true;
    $("messages").replaceChildren();
    $("empty").hidden = $("older").hidden = true;
    showNewer();
    if (!room) return;
    list = live.list("messages", { where: { room_id: room.id }, order: "-id", limit: pageful, include: ["author"] });
    draw = drawMessages(page, list, { author, mine, divider: () => divider });
    let first = true;
    stop = list.subscribe((newest, { state }) => {
      if (state === "loading") return;
      const bottom = first || atBottom() || newest.some((message) => list.pending(message) && !message.id); // who sends wants to see it
      const keep = anchor();
      all = newest.toReversed();
      divide();
      draw(all);
      $("empty").hidden = all.length > 0;
      $("older").hidden = !list.hasMore;
      if (bottom) toBottom();
      else keep();
      first = false;
      announce(bottom);
      tellUnread();
      read();
    });
  };

  // divide finds the first message that is new to who comes, or comes back; to who looks on nothing is.
  const divide = () => {
    if (!watching || page.marks.status.state !== "live") return;
    const found = all.find((message) => message.id > Math.max(page.mark(room.id), marked) && !mine(message))?.id;
    divider = found ?? divider;
    watching = !found && !page.looked();
  };

  // anchor remembers the message at the top of the view, and returns what puts it there again.
  const anchor = () => {
    const top = scroll.getBoundingClientRect().top;
    const first = [...$("messages").children].find((item) => item.getBoundingClientRect().bottom > top);
    const before = first?.getBoundingClientRect().top;
    return () => {
      if (first?.isConnected) scroll.scrollTop += first.getBoundingClientRect().top - before;
    };
  };

  let loading = false;
  const older = async () => {
    if (loading || !list?.hasMore) return;
    loading = $("older").disabled = true;
    try {
      await list.more(pageful);
    } catch (problem) {
      page.toast(problem.detail);
    } finally {
      loading = $("older").disabled = false;
    }
  };
  $("older").addEventListener("click", older);
  scroll.addEventListener("scroll", () => {
    if (scroll.scrollTop < 120 && scroll.scrollHeight > scroll.clientHeight) older();
    if (!atBottom()) return;
    fresh = 0;
    showNewer();
    read();
  });
  $("newer").addEventListener("click", toBottom);
  new ResizeObserver(() => {
    if (!fresh && atBottomBefore) toBottom();
  }).observe(scroll);
  let atBottomBefore = true; // before the keyboard of a phone came, say
  scroll.addEventListener("scroll", () => (atBottomBefore = atBottom()));

  const returned = () => {
    if (room && page.looked()) read();
  };
  addEventListener("focus", returned);
  document.addEventListener("visibilitychange", () => {
    watching ||= document.visibilityState === "hidden";
    returned();
  });
  addEventListener("blur", () => (watching = true));
  page.calls.subscribe(read);
  page.marks.subscribe(() => {
    if (room && watching && list.status.state === "live") {
      divide();
      draw(all);
    }
    tellUnread();
    read();
  });

  return Object.assign(api, {
    show,
    // editLast opens the newest message of one's own that is shown.
    editLast() {
      const last = all.findLast((message) => message.id && mine(message));
      const item = last && [...$("messages").children].find((item) => item.dataset.key === list.key(last));
      item?.querySelector(".change").click();
    },
  });
}

// drawMessages returns the function that draws the messages of a list.
function drawMessages(page, list, { author, mine, divider }) {
  const drawn = new WeakMap(); // element → message

  return rows($("messages"), $("message-row"), {
    key: (message) => list.key(message),

    made(item) {
      const message = () => drawn.get(item);
      const form = item.querySelector(".edit");
      const [field, error, text] = [form.querySelector("textarea"), form.querySelector(".error"), item.querySelector(".text")];
      let version; // the one that was there when somebody began to edit

      const open = () => {
        version = message().version;
        field.value = message().text;
        error.textContent = "";
        text.hidden = true;
        form.hidden = false;
        field.focus();
        field.setSelectionRange(field.value.length, field.value.length);
        form.scrollIntoView({ block: "nearest" });
      };
      const close = () => {
        form.hidden = true;
        text.hidden = false;
        $("text").focus();
      };
      const save = () => {
        const typed = field.value.trim();
        if (typed === message().text) return close();
        if (!typed) return remove();
        close();
        list.update(list.key(message()), { text: typed }, { version }).catch((problem) => {
          if (problem.code === "not_found") return page.toast("This message is gone.");
          open();
          field.value = typed;
          error.textContent = problem.code === "conflict" ? `You wrote “${problem.current.fields.text}” on another device meanwhile. Save once more to have this instead.` : wrong(problem, "text");
          if (problem.code === "conflict") version = problem.current.version;
        });
      };
      const remove = () => {
        const { version } = message();
        page.ask("Delete this message?", "It will be gone for everybody.", "Delete", () => {
          list.delete(list.key(message()), { version }).catch((problem) => {
            if (problem.code === "conflict") page.toast("This message was changed a moment ago. Have another look before you delete it.");
            else if (problem.code !== "not_found") page.toast(problem.detail);
          });
        });
      };
      item.querySelector(".change").addEventListener("click", open);
      item.querySelector(".delete").addEventListener("click", remove);
      form.querySelector(".cancel").addEventListener("click", close);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        save();
      });
      field.addEventListener("keydown", (event) => {
        if (event.key === "Escape") close();
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          save();
        }
      });
    },

    fill(item, message, before) {
      const { text, mentions = [], edited, created_at = new Date().toISOString() } = message;
      const who = author(message);
      const was = drawn.get(item);
      drawn.set(item, message);
      item.dataset.key = list.key(message);
      const sameDay = before && day(before.created_at ?? created_at) === day(created_at);
      const newHere = message.id !== undefined && message.id === divider();
      const close = before && Date.parse(created_at) - Date.parse(before.created_at ?? created_at) < together;
      item.classList.toggle("more", Boolean(sameDay && !newHere && close && author(before)?.id === who?.id));
      item.classList.toggle("mine", mine(message));
      item.classList.toggle("called", mentions.some(({ id }) => id === page.me.id));
      item.classList.toggle("pending", list.pending(message));
      item.querySelector(".day").hidden = Boolean(sameDay);
      item.querySelector(".day").textContent = day(created_at);
      item.querySelector(".new").hidden = !newHere;
      avatar(item.querySelector(".avatar"), who);
      item.querySelector(".who").textContent = who?.name ?? "…";
      item.querySelector(".who").style.setProperty("--hue", who?.hue ?? 0);
      at(item.querySelector("time"), created_at);
      item.querySelector(".tools").hidden = !mine(message) || !message.id;
      if (was?.text === text && was?.mentions === mentions && was?.edited === edited) return;
      const words = item.querySelector(".text");
      write(words, text, mentions, page.me.id);
      if (edited) {
        const note = document.createElement("small");
        note.className = "edited";
        note.textContent = " (edited)";
        words.append(note);
      }
    },
  });
}
