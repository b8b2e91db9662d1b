// Who, and when.

// avatar paints somebody's initials into an element, in a colour that is always theirs.
export function avatar(element, name) {
  const words = name.split(" ").filter(Boolean);
  const initials = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...(words[0] ?? "?")].slice(0, 1);
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 1_000_003;
  element.textContent = initials.join("").toUpperCase();
  element.style.setProperty("--hue", (hash * 137) % 360);
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

// ago says how long ago a time was, roughly.
function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (!(seconds >= 45)) return "just now"; // the future too: clocks differ
  for (const [unit, length] of [["day", 86400], ["hour", 3600]]) {
    if (seconds >= length * 0.95) return relative.format(-Math.round(seconds / length), unit);
  }
  return relative.format(-Math.round(seconds / 60), "minute");
}

// since puts into a <time> how long ago it was, and keeps that true.
export function since(element, time) {
  element.dateTime = time;
  element.textContent = ago(time);
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[datetime]")) element.textContent = ago(element.dateTime);
}, 15_000);
