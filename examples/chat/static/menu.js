// About the room that is shown: who is in it, who is let in, and its end.

import { avatar, wrong } from "./people.js";
import { rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

export function showMenu(page) {
  const { live, me } = page;
  const list = live.list("rooms", { order: "name" });
  const drawn = new WeakMap(); // element → member
  let room;
  let stop = () => {};
  let followed;

  const verb = (name, data) => live.call("rooms", name, { key: room.id, data });
  const failed = (problem) => page.toast(problem.code === "conflict" ? "Somebody else has just changed this room. Have another look." : problem.detail);

  const draw = rows($("members"), $("person-row"), {
    key: (member) => String(member.id),
    made(item) {
      item.querySelector("button").addEventListener("click", () => verb("remove", { person: drawn.get(item).person_id }).catch(failed));
    },
    fill(item, member) {
      drawn.set(item, member);
      avatar(item.querySelector(".avatar"), member.person);
      item.querySelector(".name").textContent = member.person?.name ?? "…";
      const button = item.querySelector("button");
      button.hidden = room.owner_id !== me.id || member.person_id === me.id;
      button.setAttribute("aria-label", `Remove ${member.person?.name}`);
    },
  });

  // show tells about a room.
  const show = (chosen) => {
    room = chosen;
    const mine = room?.owner_id === me.id;
    $("room-name").textContent = room?.name ?? "";
    $("room-name").classList.toggle("lock", Boolean(room?.private));
    $("room-topic").textContent = room?.topic ?? "";
    $("menu-title").textContent = room?.name ?? "";
    $("menu-kind").textContent = room?.private ? "Private: only for those who are let in." : "Open to everybody.";
    $("invite").hidden = $("leave").hidden = $("members").hidden = !room?.private;
    $("rename").hidden = $("remove").hidden = !mine;
    const members = room?.private ? room.id : undefined;
    if (members === followed) return;
    followed = members;
    stop();
    stop = () => {};
    draw([]);
    $("room-menu").hidePopover();
    if (!members) return;
    stop = live.list("members", { where: { room_id: members }, order: "id", include: ["person"] }).subscribe((people) => draw(people));
  };

  $("room-menu").addEventListener("beforetoggle", async (event) => {
    if (event.newState !== "open" || !room?.private) return;
    $("guest-error").textContent = "";
    const people = await live.list("people", { order: "name", limit: 200 }).fetch().catch(() => []);
    $("guests").replaceChildren(...people.filter((person) => person.id !== me.id).map((person) => new Option(person.name)));
  });
  $("invite").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = $("guest");
    verb("invite", { name: field.value.trim().replace(/^@/, "") }).then(
      () => (field.value = ""),
      (problem) => ($("guest-error").textContent = wrong(problem, "name")),
    );
  });
  $("guest").addEventListener("input", () => ($("guest-error").textContent = ""));

  $("leave").addEventListener("click", () => {
    page.ask(`Leave “${room.name}”?`, "You will not see it any more, until somebody lets you in again.", "Leave", () => verb("leave").catch(failed));
  });
  $("remove").addEventListener("click", () => {
    const { id, name, version } = room;
    page.ask(`Delete “${name}”?`, "It will be gone for everybody, with all that was said in it.", "Delete", () => list.delete(id, { version }).catch(failed));
  });

  const dialog = $("room-form");
  $("rename").addEventListener("click", () => {
    const { id, version, name, topic } = room;
    const form = dialog.querySelector("form");
    form.reset();
    $("room-form-title").textContent = "Rename this room";
    $("room-form-private").hidden = true;
    $("room-form-error").textContent = "";
    form.elements.name.value = name;
    form.elements.topic.value = topic;
    form.onsubmit = (event) => {
      event.preventDefault();
      // With the version that was shown: if it was renamed meanwhile, on another device, that is a conflict.
      list.update(id, { name: form.elements.name.value, topic: form.elements.topic.value.trim() }, { version }).then(
        () => dialog.close(),
        (problem) => ($("room-form-error").textContent = problem.code === "conflict" ? "It was renamed a moment before you. Have another look." : wrong(problem, "name")),
      );
    };
    dialog.showModal();
  });

  return { show };
}
