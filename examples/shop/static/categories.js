// The categories. Staff rename them in place, and every product in every window says the new name at once.

import { rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

// showCategories draws the categories and calls choose(id) with the one that is chosen, undefined for all. It returns the live list.
export function showCategories(page, { choose }) {
  const categories = page.live.list("categories", { order: "name" });
  let chosen;

  const pick = (id) => {
    chosen = id;
    $("all").setAttribute("aria-pressed", chosen === undefined);
    for (const item of $("categories").children) item.querySelector(".name").setAttribute("aria-pressed", item.dataset.id === String(chosen));
    choose(chosen);
  };
  $("all").addEventListener("click", () => pick(undefined));

  const draw = rows($("categories"), $("category-row"), {
    key: (category) => categories.key(category),
    made(item, row) {
      const name = item.querySelector(".name");
      const form = item.querySelector("form");
      const input = form.querySelector("input");
      const open = (opened) => {
        name.hidden = opened;
        form.hidden = !opened;
        item.querySelector(".rename").hidden = opened;
        (opened ? input : name).focus();
      };
      const save = () => {
        if (form.hidden) return;
        open(false);
        if (input.value.trim() !== row().name) {
          categories.update(categories.key(row()), { name: input.value.trim() }).catch((problem) => page.toast(problem.errors.name?.[0] ?? problem.detail));
        }
      };
      name.addEventListener("click", () => pick(row().id));
      item.querySelector(".rename").addEventListener("click", () => {
        input.value = row().name;
        open(true);
        input.select();
      });
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        save();
      });
      input.addEventListener("keydown", (event) => event.key === "Escape" && open(false));
      input.addEventListener("blur", () => document.hasFocus() && save());
    },
    fill(item, category) {
      item.dataset.id = category.id;
      item.querySelector(".name").textContent = category.name;
      item.querySelector(".name").setAttribute("aria-pressed", category.id === chosen);
      item.querySelector(".rename").setAttribute("aria-label", `Rename ${category.name}`);
    },
  });
  categories.subscribe((all, { state }) => state !== "loading" && draw(all));
  return categories;
}
