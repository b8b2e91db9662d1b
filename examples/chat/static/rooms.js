// The rooms: the column of their names, who is in them, what is unread, and which one is shown.

import { wrong } from "./people.js";
import { rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

const many = (n) => (n > 99 ? "99+" : String(n));

// showRooms draws the rooms, with how many are in each as here knows it, and calls show(room) with the one that is chosen, whenever that, or it, changes.
export function showRooms(page, { here: presence, show }) {
  const { live, me } = page;
  const list = live.list("rooms", { order: "name" });
  const counts = new Map(); // room id → { from, stop, value }: messages of others behind the mark
  let all = [];
  let current;
  let here = 0; // what is unread in the one that is shown
  let awaited; // a room that the address asked for a moment ago, and that is not known yet: one that was just made

  const unread = (room) => (room.id === current?.id ? here : counts.get(room.id)?.value ?? 0);
  const calls = (room) => page.calls.rows.filter((note) => note.kind === "mention" && note.topic === `room:${room.id}`).length;

  const template = $("room-row");
  const options = {
    key: (room) => list.key(room),
    fill(item, room) {
      const link = item.querySelector("a");
      const [n, called, there] = [unread(room), calls(room), presence.count(room.id)];
      link.href = `#/${room.id}`;
      link.classList.toggle("news", n > 0);
      link.querySelector(".sign").textContent = room.private ? "" : "#";
      link.querySelector(".sign").classList.toggle("lock", room.private);
      link.querySelector(".label").textContent = room.name;
      link.querySelector(".unread").textContent = n ? many(n) : "";
      link.querySelector(".calls").hidden = !called;
      link.querySelector(".there").textContent = there || "";
      link.setAttribute("aria-label", [room.name, room.private ? "private" : "", n ? `${many(n)} unread` : "", called ? `you were called` : ""].filter(Boolean).join(", "));
      if (room.id === current?.id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    },
  };
  const drawPublic = rows($("public-rooms"), template, options);
  const drawPrivate = rows($("private-rooms"), template, options);
  const draw = () => {
    drawPublic(all.filter((room) => !room.private));
    drawPrivate(all.filter((room) => room.private));
    $("private-title").hidden = !all.some((room) => room.private);
    const total = all.reduce((sum, room) => sum + unread(room), 0);
    document.title = `${total ? `(${many(total)}) ` : ""}${current ? current.name : "Chat"}`;
  };

  // follow counts what is unread in each room that is not shown, anew when its mark has moved.
  const follow = () => {
    if (page.marks.status.state !== "live") return;
    for (const [id, count] of counts) {
      if (id !== current?.id && all.some((room) => room.id === id) && count.from === page.mark(id)) continue;
      count.stop();
      counts.delete(id);
    }
    for (const { id } of all) {
      if (id === current?.id || counts.has(id)) continue;
      const count = { from: page.mark(id), value: 0 };
      counts.set(id, count);
      count.stop = live.count("messages", { where: { room_id: id, id__gt: count.from, author_id__ne: me.id } }).subscribe((value) => {
        if (value === undefined) return;
        count.value = value;
        draw();
      });
    }
  };

  // choose shows the room that the address asks for; on a wide screen there is always one.
  const choose = () => {
    const asked = page.route();
    if (current && asked === current.id && !all.some((room) => room.id === current.id)) page.toast(`“${current.name}” is gone, or you are not in it any more.`);
    let room = all.find((room) => room.id === asked);
    if (room) awaited = undefined;
    else if (asked) awaited = { id: asked, until: Date.now() + 5000 };
    if (!room && page.wide.matches) room = all.find((room) => String(room.id) === localStorage.getItem("chat-room")) ?? all[0];
    if (room && room.id !== asked) history.replaceState(null, "", `#/${room.id}`);
    if (!room && asked) history.replaceState(null, "", "#/");
    const moved = room?.id !== current?.id;
    if (moved) here = 0;
    current = room;
    if (room) localStorage.setItem("chat-room", room.id);
    document.body.dataset.view = room ? "room" : "rooms";
    follow();
    draw();
    show(room);
    // On a small screen that is another page: who listens is told its name. On a wide one the field to write in has the focus.
    if (moved && room && !page.wide.matches) $("room-name").focus();
    document.body.removeAttribute("aria-busy");
  };

  list.subscribe((rooms, { state }) => {
    if (state === "loading") return;
    all = [...rooms];
    presence.look(all.map((room) => room.id));
    if (awaited && Date.now() < awaited.until && all.some((room) => room.id === awaited.id)) history.replaceState(null, "", `#/${awaited.id}`);
    choose();
  });
  page.marks.subscribe(() => {
    follow();
    draw();
  });
  page.calls.subscribe(draw);
  presence.onCount(draw);
  addEventListener("hashchange", choose);
  page.wide.addEventListener("change", choose);

  // A new room.
  const dialog = $("room-form");
  const form = dialog.querySelector("form");
  $("new-room").addEventListener("click", () => {
    form.reset();
    $("room-form-title").textContent = "New room";
    $("room-form-private").hidden = false;
    form.onsubmit = (event) => {
      event.preventDefault();
      const { name, topic, private: hidden } = form.elements;
      live.call("rooms", "open", { data: { name: name.value, topic: topic.value.trim(), private: hidden.checked } }).then(
        ({ id }) => {
          dialog.close();
          location.hash = `#/${id}`;
        },
        (problem) => ($("room-form-error").textContent = wrong(problem, "name")),
      );
    };
    $("room-form-error").textContent = "";
    dialog.showModal();
  });
  form.addEventListener("input", () => ($("room-form-error").textContent = ""));
  form.querySelector(".cancel").addEventListener("click", () => dialog.close());

  return {
    unreadHere(n) {
      if (n === here) return;
      here = n;
      draw();
    },
  };
}
