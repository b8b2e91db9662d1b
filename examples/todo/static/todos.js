// The items of the list that is shown, and how many are open in each list.

import { editable, fieldError, messageFor } from "./edit.js";
import { avatar, since } from "./people.js";
import { glow, rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

const nothing = {
  all: "Nothing here yet. What comes first?",
  open: "All done. Well done!",
  done: "Nothing is done yet.",
};

// showTodos returns show(list), which shows the items of a list, and tells count(counts) how many items are open in each
// list that has any: a Map by the list's id.
export function showTodos(page, { count }) {
  let list; // whose items are shown
  let filter; // all, open or done
  let todos; // these items, live
  let stop = () => {};

  // All open items of all lists are followed too, for their number.
  const openTodos = page.live.list("todos", { where: { done: false } });

  const recount = () => {
    const counts = new Map();
    for (const { list_id } of openTodos.rows) counts.set(list_id, (counts.get(list_id) ?? 0) + 1);
    // Of the list that is shown we know better: it holds what the visitor has just done.
    if (list && filter === "all" && todos.status.state === "live") counts.set(list.id, todos.rows.filter((todo) => !todo.done).length);
    const n = counts.get(list?.id) ?? 0;
    $("count").textContent = list ? `${n} open ${n === 1 ? "item" : "items"}` : "";
    $("clear").disabled = filter !== "open" && !todos?.rows.some((todo) => todo.done);
    document.title = list ? `${n ? `(${n}) ` : ""}${list.name}` : "Todo";
    count(counts);
  };
  openTodos.subscribe(recount);

  // show follows the items of a list, as far as the filter of the address lets them through.
  const show = (chosen) => {
    const same = chosen?.id === list?.id && page.route().filter === filter;
    list = chosen;
    filter = page.route().filter;
    for (const name of ["all", "open", "done"]) {
      const link = $(`filter-${name}`);
      link.href = list ? page.address(list.id, name) : "#";
      if (name === filter) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    if (!same) follow();
    recount();
  };

  const follow = () => {
    stop();
    $("foot").hidden = !list;
    if (!list) {
      todos = undefined;
      $("todos").replaceChildren();
      empty("Make a list to begin with.");
      return;
    }
    const where = { list_id: list.id };
    if (filter !== "all") where.done = filter === "done";
    todos = page.live.list("todos", { where, order: "done,-created_at" });
    const draw = drawTodos(page, todos);
    $("list").setAttribute("aria-busy", "true");
    stop = todos.subscribe((items, { state }) => {
      if (state === "loading") return;
      draw(items);
      empty(items.length ? "" : nothing[filter]);
      recount();
      $("list").removeAttribute("aria-busy");
    });
  };

  const empty = (text) => {
    $("empty").hidden = !text;
    $("empty").textContent = text;
  };

  const add = $("add");
  const title = add.elements.title;
  add.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = title.value;
    title.value = "";
    fieldError(title, "");
    if (filter === "done") location.hash = page.address(list.id); // where it will be seen
    todos.create({ list_id: list.id, title: typed, done: false }).catch((problem) => {
      if (!title.value) title.value = typed;
      fieldError(title, messageFor(problem, "title") || messageFor(problem, "list_id") || problem.detail);
    });
  });
  title.addEventListener("input", () => fieldError(title, ""));

  $("clear").addEventListener("click", async () => {
    const answer = await fetch(`/lists/${list.id}/clear`, { method: "POST" }).catch(() => undefined);
    if (!answer?.ok) page.toast("That did not work. Try again in a moment.");
  });

  return show;
}

let made = 0; // numbers the elements, for what is described by an id

// drawTodos returns the function that draws the rows of todos.
function drawTodos(page, todos) {
  const drawn = new WeakMap(); // element → row

  return rows($("todos"), $("todo-row"), {
    key: (todo) => todos.key(todo),

    made(item) {
      const row = () => drawn.get(item);
      const title = item.querySelector(".title");
      const error = item.querySelector(".error");
      error.id = `todo-error-${++made}`;
      item.querySelector(".edit input").setAttribute("aria-describedby", error.id);

      const save = (patch) => todos.update(todos.key(row()), patch);
      const failed = (problem, mine) => {
        if (problem.code === "conflict") conflict(item, problem.current?.fields ?? row(), mine, save);
        else if (problem.code === "not_found") page.toast("Somebody else has just deleted this.");
        else page.toast(problem.detail);
      };

      const edit = editable(item, title, {
        text: () => row().title,
        save(typed, before) {
          // Somebody else was quicker while this was typed: nobody's words are lost without a question.
          if (row().title !== before) return conflict(item, row(), typed, save);
          return save({ title: typed }).catch((problem) => {
            if (messageFor(problem, "title")) throw problem;
            failed(problem, typed);
          });
        },
      });
      title.addEventListener("click", edit);
      item.querySelector(".tick").addEventListener("change", (event) => {
        save({ done: event.target.checked }).catch((problem) => failed(problem));
      });
      item.querySelector(".delete").addEventListener("click", () => {
        const next = item.nextElementSibling ?? item.previousElementSibling;
        todos.delete(todos.key(row())).catch((problem) => failed(problem));
        (next?.querySelector(".delete") ?? $("new-todo")).focus();
      });
    },

    fill(item, todo, was) {
      drawn.set(item, todo);
      const { title, done, changed = "added", changed_by = page.visitor, changed_at = new Date().toISOString() } = todo;
      item.classList.toggle("done", done);
      item.classList.toggle("pending", todos.pending(todo));
      item.querySelector(".title").textContent = title;
      item.querySelector(".tick").checked = done;
      item.querySelector(".tick").setAttribute("aria-label", `Done: ${title}`);
      item.querySelector(".delete").setAttribute("aria-label", `Delete: ${title}`);
      item.querySelector(".who").textContent = `${changed} by ${changed_by}`;
      avatar(item.querySelector(".avatar"), changed_by);
      since(item.querySelector("time"), changed_at);
      if (was && was.changed_at !== todo.changed_at && changed_by !== page.visitor) {
        glow(item);
        page.say(`${changed_by} ${changed} “${title}”.`);
      }
    },
  });
}

// conflict tells the visitor kindly that somebody else was quicker, and asks whose words shall stay.
function conflict(item, todo, mine, save) {
  const box = item.querySelector(".conflict");
  const story = mine === undefined
    ? `${todo.changed_by} ${todo.changed} this a moment before you. Have another look.`
    : `${todo.changed_by} changed this to “${todo.title}” while you were writing “${mine}”.`;
  box.querySelector(".story").textContent = story;
  box.querySelector(".mine").hidden = mine === undefined;
  box.querySelector(".mine").onclick = () => {
    box.hidden = true;
    save({ title: mine }).catch(() => conflict(item, todo, mine, save));
  };
  box.querySelector(".theirs").textContent = mine === undefined ? "All right" : "Keep theirs";
  box.querySelector(".theirs").onclick = () => (box.hidden = true);
  box.hidden = false;
}
