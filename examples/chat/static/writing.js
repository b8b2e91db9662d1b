// Where one writes: Enter sends, Shift+Enter begins a new line, the arrow up edits what was said last, and @ suggests names.

import { avatar, wrong } from "./people.js";

const $ = (id) => document.getElementById(id);

export function showWriting(page, { editLast, typing = () => {} }) {
  const { live, me } = page;
  const field = $("text");
  const drafts = new Map(); // room id → what was not sent yet
  let room;
  let messages;

  const grow = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  };
  const complain = (text) => {
    $("text-error").textContent = text;
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };

  const show = (chosen) => {
    if (chosen?.id === room?.id) return;
    if (room) drafts.set(room.id, field.value);
    room = chosen;
    suggest();
    complain("");
    field.value = drafts.get(room?.id) ?? "";
    grow();
    if (!room) return;
    messages = live.list("messages", { where: { room_id: room.id }, order: "-id", limit: 30, include: ["author"] }); // the one that is shown
    if (page.wide.matches) field.focus();
  };

  const send = () => {
    const text = field.value.trim();
    const to = room;
    if (!text || !to) return;
    field.value = "";
    grow();
    suggest();
    complain("");
    typing(false);
    messages.create({ room_id: to.id, text }).catch((problem) => {
      // Nothing that was written is lost.
      if (room?.id !== to.id) drafts.set(to.id, text);
      else {
        field.value = field.value ? `${text}\n${field.value}` : text;
        grow();
      }
      if (room?.id === to.id) complain(wrong(problem, "text"));
      else page.toast(problem.detail);
    });
  };

  $("write").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
    field.focus();
  });
  field.addEventListener("input", () => {
    grow();
    complain("");
    suggest();
    typing(field.value.trim() !== "");
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || pick(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && !field.value) {
      event.preventDefault();
      editLast();
    }
  });
  field.addEventListener("blur", () => setTimeout(() => document.activeElement !== field && close(), 150));

  // Names, after an @.

  const box = $("suggestions");
  let choices = []; // people
  let chosen = 0;
  let asked = 0;

  const begun = () => field.value.slice(0, field.selectionStart).match(/(?:^|[^\p{L}\p{M}\p{N}_@-])@([\p{L}\p{M}\p{N}_-]*)$/u)?.[1];

  async function suggest() {
    const begin = begun();
    const turn = ++asked;
    if (begin === undefined || !room) return close();
    const where = begin ? { name__icontains: begin } : {};
    const people = await candidates(where).catch(() => []);
    if (turn !== asked) return; // something else was typed meanwhile
    const first = (person) => (person.name.toLowerCase().startsWith(begin.toLowerCase()) ? 0 : 1);
    choices = people.filter((person) => person.id !== me.id).sort((a, b) => first(a) - first(b)).slice(0, 6);
    chosen = 0;
    drawChoices();
  }

  // Whom one can call: everybody, and in a private room those who are in it.
  async function candidates(where) {
    if (!room.private) return live.list("people", { where, order: "name", limit: 20 }).fetch();
    const members = await live.list("members", { where: { room_id: room.id } }).fetch();
    return live.list("people", { where: { ...where, id__in: members.slice(0, 100).map((member) => member.person_id) }, order: "name", limit: 20 }).fetch();
  }

  const drawChoices = () => {
    box.replaceChildren(...choices.map((person, i) => {
      const item = document.createElement("li");
      item.id = `suggestion-${i}`;
      item.role = "option";
      item.ariaSelected = String(i === chosen);
      const icon = document.createElement("span");
      icon.className = "avatar";
      icon.ariaHidden = "true";
      avatar(icon, person);
      item.append(icon, person.name);
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(person);
      });
      return item;
    }));
    box.hidden = !choices.length;
    field.setAttribute("aria-expanded", String(!box.hidden));
    if (choices.length) field.setAttribute("aria-activedescendant", `suggestion-${chosen}`);
    else field.removeAttribute("aria-activedescendant");
  };

  function close() {
    choices = [];
    drawChoices();
  }

  function take(person) {
    const end = field.selectionStart;
    const start = end - begun().length;
    field.setRangeText(`${person.name} `, start, end, "end");
    asked++;
    close();
    grow();
  }

  // pick takes the keys of an open list of names.
  function pick(event) {
    if (!choices.length) return false;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      chosen = (chosen + moves[event.key] + choices.length) % choices.length;
      drawChoices();
    } else if (event.key === "Enter" && begun()?.toLowerCase() === choices[chosen].name.toLowerCase()) return false; // it is there already
    else if (event.key === "Enter" || event.key === "Tab") take(choices[chosen]);
    else if (event.key === "Escape") {
      asked++;
      close();
    } else return false;
    event.preventDefault();
    return true;
  }

  return { show };
}
