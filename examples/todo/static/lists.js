// The lists: the column (or row) of their names, and the heading of the one that is shown.

import { rows } from "./rows.js";
import { editable, fieldError, messageFor } from "./edit.js";

const $ = (id) => document.getElementById(id);

// showLists draws the lists and calls show(list) with the one that is chosen, whenever that changes.
export function showLists(page, { show }) {
  const lists = page.live.list("lists", { order: "created_at" });
  let all = []; // as last drawn
  let current; // the list that is shown
  let open = new Map(); // list id → number of open items

  const draw = rows($("lists"), $("list-row"), {
    key: (list) => lists.key(list),
    fill(item, list) {
      const link = item.querySelector("a");
      const n = open.get(list.id) ?? 0;
      if (list.id) link.href = page.address(list.id);
      link.querySelector(".label").textContent = list.name;
      link.querySelector(".open").textContent = n || "";
      link.setAttribute("aria-label", `${list.name}, ${n} open`);
      if (list === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    },
  });

  // choose shows the list that the address asks for, or the first.
  const choose = () => {
    const { listID } = page.route();
    if (current && !all.some((list) => list.id === current.id)) page.toast(`“${current.name}” was deleted.`);
    const real = all.filter((list) => list.id); // one that was just added here has no id until the server answers
    current = real.find((list) => list.id === listID) ?? real[0];
    if (current && current.id !== listID) history.replaceState(null, "", page.address(current.id));

    $("list-name").textContent = current?.name ?? "No lists";
    $("rename").hidden = $("remove").hidden = $("add").hidden = !current;
    draw(all);
    show(current);
  };

  // count takes the number of open items of each list that has any.
  const count = (counts) => {
    open = counts;
    if (current) draw(all);
  };

  lists.subscribe((list, { state }) => {
    if (state === "loading") return;
    all = list;
    choose();
  });

  const add = $("add-list");
  const field = add.elements.name;
  add.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = field.value;
    field.value = "";
    fieldError(field, "");
    lists.create({ name }).then(
      (list) => (location.hash = page.address(list.id)),
      (problem) => {
        if (!field.value) field.value = name;
        fieldError(field, messageFor(problem, "name") || problem.detail);
      },
    );
  });
  field.addEventListener("input", () => fieldError(field, ""));

  let renamed; // the list as it was when the visitor began to type
  const rename = editable($("heading"), $("list-name"), {
    text() {
      renamed = current;
      return current.name;
    },
    // With its version: if somebody else renames it meanwhile, that is a conflict.
    save: (name) => lists.update(lists.key(renamed), { name }, { version: renamed.version }).catch((problem) => {
      if (messageFor(problem, "name")) throw problem;
      if (problem.code === "conflict") page.toast(`${problem.current.fields.changed_by} renamed this list while you were typing.`);
      else page.toast(problem.detail);
    }),
  });
  $("rename").addEventListener("click", rename);
  $("list-name").addEventListener("dblclick", rename);

  $("remove").addEventListener("click", () => {
    const list = current;
    const n = open.get(list.id) ?? 0;
    $("confirm-question").textContent = `Delete “${list.name}”?`;
    $("confirm-detail").textContent = n ? `${n} open ${n === 1 ? "item goes" : "items go"} with it, for everybody.` : "It will be gone for everybody.";
    const dialog = $("confirm");
    dialog.returnValue = "";
    dialog.showModal();
    dialog.onclose = () => {
      if (dialog.returnValue !== "yes") return;
      lists.delete(lists.key(list)).catch((problem) => {
        if (problem.code === "conflict") page.toast(`“${list.name}” was changed a moment ago. Have another look before you delete it.`);
        else if (problem.code !== "not_found") page.toast(problem.detail);
      });
    };
  });

  return { choose, count };
}
