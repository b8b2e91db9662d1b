// The form of an article: who is here and in which field, what others save, and what happens when two write the same. Without this
// script the form works too; what is drawn here has the same places in the page as what the server draws there.

import { live, me, put, since } from "./desk.js";
import { doing, drawPeople } from "./people.js";

const $ = (id) => document.getElementById(id);

const form = $("article");
const fields = new Map([...form.querySelectorAll("[data-field]")].map((element) => [element.dataset.field, element]));
const label = (field) => fields.get(field)?.dataset.label ?? "";
const nobody = "Somebody";

// Who is here

const drawHere = drawPeople($("people"), { label });

/** Shows at each field who else is in it. */
function drawFields(people) {
  for (const [name, element] of fields) {
    const there = people.filter((person) => doing(person).state === "editing" && doing(person).field === name);
    const at = element.querySelector(".at");
    element.classList.toggle("busy", there.length > 0);
    if (at.textContent === there.map((person) => person.name).join("")) continue;
    at.replaceChildren(...there.map((person) => {
      const pill = document.createElement("span");
      pill.className = "person";
      pill.dataset.color = person.info?.color ?? "gray";
      pill.textContent = person.name;
      return pill;
    }));
    if (at.firstChild) element.style.setProperty("--line", getComputedStyle(at.firstChild).getPropertyValue("--line"));
  }
}

function onPeople(people) {
  const others = people.filter((person) => person.id !== me);
  drawHere(others);
  drawFields(others);
}

// What is said above the form, and beside the button

function note(kind, text = "", ...buttons) {
  const notice = $("notice");
  notice.hidden = !text;
  notice.dataset.kind = kind;
  notice.setAttribute("role", "alert");
  put($("story"), text);
  $("choices").replaceChildren(...buttons);
}

function button(text, click) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", click);
  return element;
}

function paragraph(name, ...content) {
  const element = document.createElement("p");
  element.className = name;
  element.append(...content);
  return element;
}

const list = new Intl.ListFormat("en");
const named = (names) => list.format(names.filter((name) => fields.has(name)).map((name) => `“${label(name)}”`));

let said = ""; // what happened last, until something is written

function onSaved({ own, by, changed }) {
  if (own) {
    said = "Saved.";
    fieldErrors({});
    note("");
  } else if (named(changed)) {
    said = `${by?.name ?? nobody} changed ${named(changed)}.`;
  }
}

function onChange(article) {
  const { row } = article;
  if (row) {
    put($("heading"), row.title);
    document.title = row.title;
    put($("section"), row.section);
    put($("who"), row.changed_by);
    since($("when"), row.changed_at);
    $("private").hidden = !row.private;
    // What this page shows is what its owner deletes.
    const remove = document.querySelector(".delete [name=version]");
    if (remove) remove.value = article.version;
  }
  const { saving, dirty, state } = article;
  put($("state"), state === "gone" ? "" : saving ? "Saving…" : said || (dirty.length ? "Not saved yet" : ""));
  $("discard").hidden = !dirty.length || state === "gone";
  if (locking) drawLock(article);
}

// Conflicts

/** Says a field's value to a person. */
const spoken = (value) => (value === true ? "Yes" : value === false ? "No" : String(value) || "(nothing)");

function onConflict(conflicts) {
  const torn = new Map(conflicts.map((conflict) => [conflict.field, conflict]));
  for (const [name, element] of fields) {
    const conflict = torn.get(name);
    const box = $(`t-${name}`);
    element.classList.toggle("torn", !!conflict);
    box.hidden = !conflict;
    box.replaceChildren(...(conflict ? theirs(conflict) : []));
  }
  const who = [...new Set(conflicts.map((conflict) => conflict.by?.name ?? nobody))];
  note("torn", conflicts.length ? `${list.format(who)} saved ${named([...torn.keys()])} while you were writing there, too. Yours is not saved yet: look at both.` : "");
}

function theirs({ field, theirs, by, difference }) {
  const content = [paragraph("whose", `${by?.name ?? nobody} saved:`), paragraph("text", spoken(theirs))];
  if (typeof theirs === "string" && $(`f-${field}`).type !== "select-one") {
    const pieces = difference.map(({ is, text }) => {
      if (is === "both") return text;
      const piece = document.createElement(is === "theirs" ? "del" : "ins");
      piece.textContent = text;
      return piece;
    });
    content.push(paragraph("whose", "From that to yours:"), paragraph("diff", ...pieces));
  }
  const line = document.createElement("div");
  line.className = "line";
  const decide = (how) => () => {
    editing[how](field);
    $(`f-${field}`).focus();
  };
  line.append(button("Take theirs", decide("take")), button("Keep mine", decide("keep")));
  for (const choice of line.children) choice.setAttribute("aria-label", `${choice.textContent}: ${label(field)}`);
  return [...content, line];
}

// What is refused

function fieldErrors(errors) {
  for (const name of fields.keys()) {
    const message = errors[name]?.join(" ") ?? "";
    put($(`e-${name}`), message);
    if (message) $(`f-${name}`).setAttribute("aria-invalid", "true");
    else $(`f-${name}`).removeAttribute("aria-invalid");
  }
}

function onError(problem) {
  fieldErrors(problem.errors ?? {});
  const first = [...fields.keys()].find((name) => problem.errors?.[name]);
  if (first) $(`f-${first}`).focus();
  else note("wrong", problem.detail || "That could not be saved. Try again in a moment.");
}

const gone = {
  deleted: "This article was deleted.",
  forbidden: "This article is not yours to see any more.",
};

function onGone(reason) {
  const wrote = editing.dirty.length > 0;
  note("wrong", gone[reason] + (wrote ? " What you wrote is still here: copy it before you leave." : ""), ...(wrote ? [editing.copyButton()] : []));
}

// The lock, where the server was started with -lock: who writes first has it, and the others read.

const locking = form.dataset.lock === "true";
const mayTakeOver = form.dataset.mine === "true";

function drawLock(article) {
  const { holder, token, presence } = article;
  if (holder && !token) $("save").disabled = true;
  const metas = presence.people.flatMap((person) => person.metas.map((meta) => ({ ...meta, person })));
  const asked = metas.some((meta) => meta.wants && meta.member === presence.member);
  const askers = metas.filter((meta) => meta.wants && meta.member !== presence.member);
  const key = JSON.stringify([holder?.id, token, asked, askers.map((meta) => meta.member)]);
  if ($("lock").dataset.key === key) return; // what stands there, and maybe has the focus, stays
  $("lock").dataset.key = key;
  $("lock").hidden = !holder && !token;
  if (token) {
    put($("holder"), askers.length ? `${list.format(askers.map((meta) => meta.person.name))} would like to write here.` : "You have the lock: the others can only read.");
    $("keys").replaceChildren(...askers.map((meta) => act(`Hand over to ${meta.person.name}`, () => article.handOver(meta.member))), act("Unlock", () => article.unlock()));
  } else if (holder) {
    put($("holder"), `${holder.id === me ? "You, in another tab," : holder.name} ${holder.id === me ? "have" : "has"} the lock: here it can only be read.${asked ? " You have asked for it." : ""}`);
    $("keys").replaceChildren(...(asked ? [] : [act("Ask for it", () => article.request())]), ...(mayTakeOver ? [act("Take it over", () => article.takeOver())] : []));
  }
}

/** A button that does what can be refused. */
function act(text, what) {
  return button(text, () => what().catch((problem) => note("wrong", problem.detail ?? String(problem))));
}

// All of it

const editing = Live.editing(live, "articles", form.dataset.key, { form, lock: locking, onPeople, onSaved, onChange, onConflict, onError, onGone });

form.addEventListener("input", (event) => {
  said = "";
  const name = event.target.name;
  if (fields.has(name) && $(`e-${name}`).textContent) {
    put($(`e-${name}`), "");
    event.target.removeAttribute("aria-invalid");
  }
});
$("discard").addEventListener("click", (event) => {
  event.preventDefault();
  said = "";
  editing.discard();
  fieldErrors({});
});
// Enter in a line saves, as in any form; so does Ctrl+S.
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s") {
    event.preventDefault();
    form.requestSubmit($("save"));
  }
});
addEventListener("beforeunload", (event) => {
  if (editing.dirty.length) event.preventDefault();
});
