// Who is here: in the room that is shown, in each of the others, and at all; and who is typing.

import { avatar } from "./people.js";
import { rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

const faces = 4; // and so many more
const pause = 4000; // who has not typed for so long is not typing

// away says that somebody looks at none of his tabs.
const away = (person) => person.metas.every((meta) => meta.away);

export function showHere(page) {
  const { live } = page;
  let room;
  let here; // who is in it
  let stop = () => {};
  let timer;

  const face = (person) => {
    const item = document.createElement("li");
    item.dataset.name = person.name;
    item.title = person.name;
    item.classList.toggle("away", away(person));
    const icon = document.createElement("span");
    icon.className = "avatar";
    icon.ariaHidden = "true";
    avatar(icon, { name: person.name, hue: person.info?.hue });
    const name = document.createElement("span");
    name.className = "hidden";
    name.textContent = person.name;
    item.append(icon, name);
    return item;
  };

  const draw = (people) => {
    const others = people.filter((person) => !person.me);
    const items = others.slice(0, faces).map(face);
    const more = here.count - people.length + others.length - items.length;
    if (more > 0) {
      const item = document.createElement("li");
      item.className = "others";
      item.textContent = `and ${more} more`;
      items.push(item);
    }
    $("here").replaceChildren(...items);
    const typing = others.filter((person) => person.metas.some((meta) => meta.state.state === "typing" && !meta.away)).map((person) => person.name).sort();
    const many = typing.length > 3;
    $("typing").textContent = many ? "Several people are typing…" : typing.length ? `${new Intl.ListFormat("en").format(typing)} ${typing.length > 1 ? "are" : "is"} typing…` : "";
  };

  const quiet = () => {
    clearTimeout(timer);
    timer = undefined;
    here?.set({ state: "viewing" });
  };

  // Everybody, and how many are in each room.
  const everybody = Live.presence(live, { channel: "online" }, { limit: 50 });
  const drawOnline = rows($("online"), $("person-row"), {
    key: (person) => person.id,
    fill(item, person) {
      avatar(item.querySelector(".avatar"), { name: person.name, hue: person.info?.hue });
      item.querySelector(".name").textContent = person.me ? `${person.name} (you)` : person.name;
      item.classList.toggle("away", away(person));
    },
  });
  everybody.subscribe((people) => {
    $("online-title").hidden = !people.length;
    $("online-title").textContent = `Here now: ${everybody.count}`;
    drawOnline(people);
  });
  const inRooms = Live.presence(live, "rooms", []);

  return {
    // show is in a room, and nowhere else.
    show(chosen) {
      if (chosen?.id === room?.id) return;
      stop();
      here?.leave();
      clearTimeout(timer);
      timer = here = undefined;
      $("here").replaceChildren();
      $("typing").textContent = "";
      room = chosen;
      if (!room) return;
      here = Live.presence(live, "rooms", room.id, { limit: 50 });
      stop = here.subscribe(draw);
    },
    // typing says whether something is being written.
    typing(now) {
      if (!now) return timer && quiet();
      clearTimeout(timer);
      timer = setTimeout(quiet, pause);
      here?.set({ state: "typing" });
    },
    // rooms says which rooms there are.
    look: (ids) => inRooms.look(ids),
    count: (id) => inRooms.at(id).length,
    onCount: (f) => inRooms.subscribe(f),
  };
}
