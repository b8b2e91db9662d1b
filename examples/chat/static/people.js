// Who, when, and what is wrong.

// avatar paints the beginning of somebody's name into an element, in the colour that he chose.
export function avatar(element, person) {
  element.textContent = [...(person?.name ?? "…")][0].toUpperCase();
  element.style.setProperty("--hue", person?.hue ?? 0);
  element.classList.toggle("unknown", !person);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

// at puts into a <time> when it was.
export function at(element, time) {
  element.dateTime = time;
  element.textContent = clock.format(new Date(time));
  element.title = new Date(time).toLocaleString();
}

// day says on which day a time was.
export function day(time) {
  const then = new Date(time);
  const days = Math.round((new Date().setHours(12, 0, 0, 0) - new Date(then).setHours(12, 0, 0, 0)) / 86_400_000);
  return days < 1 ? "Today" : days === 1 ? "Yesterday" : date.format(then);
}

// wrong returns what a refusal says about a field, or else at all.
export const wrong = (problem, field) => problem.errors?.[field]?.join(" ") || problem.detail;
