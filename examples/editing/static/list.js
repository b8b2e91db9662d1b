// The list of articles, with who is in which.

import { address, live, put, since } from "./desk.js";
import { drawPeople } from "./people.js";

const $ = (id) => document.getElementById(id);

const articles = live.list("articles", { order: "-changed_at" });
// Of the articles that are shown: whoever is in one is told nothing of this, for a list only looks.
const here = Live.presence(live, "articles", []);

const shown = new Map(); // key → { element, people }

function make(key) {
  // What the server has rendered is gone on with.
  const element = document.querySelector(`.article[data-key="${CSS.escape(key)}"]`) ?? $("row").content.firstElementChild.cloneNode(true);
  element.dataset.key = key;
  if (!element.querySelector(".who")) {
    const who = document.createElement("span");
    who.className = "who";
    element.querySelector(".by").replaceChildren(who, ", ", element.querySelector("time"));
  }
  return { element, people: drawPeople(element.querySelector(".here")) };
}

function fill(element, article) {
  const link = element.querySelector("a");
  link.href = address(`/articles/${article.id}`);
  put(link, article.title);
  put(element.querySelector(".section"), article.section);
  element.querySelector(".private").hidden = !article.private;
  element.querySelector(".ready").hidden = !article.ready;
  put(element.querySelector(".who"), article.changed_by);
  since(element.querySelector("time"), article.changed_at);
}

function drawArticles(rows) {
  const parent = $("articles");
  const wanted = new Set(rows.map((row) => String(row.id)));
  let place = parent.firstElementChild;
  for (const row of rows) {
    const key = String(row.id);
    const entry = shown.get(key) ?? make(key);
    shown.set(key, entry);
    fill(entry.element, row);
    if (entry.element === place) place = place.nextElementSibling;
    else if (entry.element.isConnected && parent.moveBefore) parent.moveBefore(entry.element, place); // keeps the focus
    else parent.insertBefore(entry.element, place);
  }
  for (const element of [...parent.children]) {
    if (wanted.has(element.dataset.key)) continue;
    shown.delete(element.dataset.key);
    element.remove();
  }
  $("empty").hidden = rows.length > 0;
  here.look([...wanted]);
  drawHere();
}

function drawHere() {
  for (const [key, { people }] of shown) people(here.at(key));
}

articles.subscribe((rows, { state }) => {
  if (state !== "loading") drawArticles(rows);
});
here.subscribe(drawHere);
