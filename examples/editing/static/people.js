// Who is here: names as text, at most four of them, and how many more there are.

import { me, put } from "./desk.js";

const most = 4;
const rank = { editing: 0, typing: 1, viewing: 2, idle: 3 };

/** What a person does, in whichever of their tabs they do most. */
export function doing(person) {
  const order = (meta) => (meta.away ? 4 : (rank[meta.state.state] ?? 2));
  const meta = person.metas.reduce((best, next) => (order(next) < order(best) ? next : best));
  return { ...meta.state, away: person.metas.every((one) => one.away), lock: person.metas.some((one) => one.lock), wants: person.metas.some((one) => one.wants) };
}

/** Says it in words, with the label of a field where there is one. */
function words({ state, field, away, lock }, label) {
  const text = state === "editing" ? (label(field) ? `edits ${label(field)}` : "is editing") : state === "idle" || away ? "is away" : "";
  return lock ? ["has the lock", text].filter(Boolean).join(", ") : text;
}

/** Returns a function that draws people into an element: each keeps their place and their element, and what did not change is left alone. */
export function drawPeople(element, { label = () => "" } = {}) {
  const pills = new Map(); // person id → element
  const more = document.createElement("span");
  more.className = "more";
  element.replaceChildren();

  return (people) => {
    // Who writes is shown before who looks on.
    const shown = people.slice().sort((a, b) => order(a) - order(b)).slice(0, most);
    for (const [id, pill] of pills) {
      if (shown.some((person) => person.id === id)) continue;
      pill.remove();
      pills.delete(id);
    }
    let place = element.firstElementChild;
    for (const person of shown) {
      let pill = pills.get(person.id);
      if (!pill) {
        pill = document.createElement("span");
        pill.className = "person";
        pill.append(document.createElement("span"), document.createElement("span"));
        pill.lastChild.className = "doing";
        pills.set(person.id, pill);
      }
      const does = doing(person);
      pill.dataset.color = person.info?.color ?? "gray";
      pill.classList.toggle("away", does.away);
      put(pill.firstChild, person.id === me ? `${person.name} (you)` : person.name);
      const text = words(does, label);
      put(pill.lastChild, text && ` ${text}`);
      if (pill === place) place = place.nextElementSibling;
      else element.insertBefore(pill, place);
    }
    put(more, people.length > most ? `${people.length - most} more` : "");
    if (more.textContent) element.append(more);
    else more.remove();
  };
}

const order = (person) => (doing(person).state === "editing" ? 0 : doing(person).away ? 2 : 1);
