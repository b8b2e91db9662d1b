// rows(parent, template, { key, made, fill }) returns a function that draws a list of rows as the children of parent. A
// row keeps its element for as long as it is there, so nothing flickers, and what has the focus keeps it. key(row) tells
// rows apart. made(element) gives a new element its behaviour. fill(element, row, was) writes a row into its element; was
// is the row as it was drawn before, or undefined.

const still = matchMedia("(prefers-reduced-motion: reduce)");
const ease = "cubic-bezier(.2, .7, .3, 1)";

export function rows(parent, template, { key, made = () => {}, fill }) {
  const shown = new Map(); // key → { element, row }
  let first = true;

  return (list) => {
    const motion = !first && !still.matches && !document.hidden;
    if (first) parent.replaceChildren(); // the skeleton
    first = false;

    const focused = document.activeElement;
    const tops = new Map();
    if (motion) for (const { element } of shown.values()) tops.set(element, element.offsetTop);

    // A row that was just created here is drawn before the server gave it a key. Now it may have one.
    for (const [name, entry] of [...shown]) {
      const now = key(entry.row);
      if (now !== name && shown.delete(name)) shown.set(now, entry);
    }

    const wanted = new Set(list.map(key));
    for (const [name, { element }] of shown) {
      if (wanted.has(name)) continue;
      shown.delete(name);
      leave(element, motion, tops.get(element));
    }

    let place = parent.firstElementChild;
    for (const row of list) {
      const name = key(row);
      let entry = shown.get(name);
      const fresh = !entry;
      if (fresh) {
        entry = { element: template.content.firstElementChild.cloneNode(true) };
        shown.set(name, entry);
        made(entry.element);
      }
      fill(entry.element, row, entry.row);
      entry.row = row;
      if (entry.element === place) {
        place = place.nextElementSibling;
      } else if (fresh || !parent.moveBefore) {
        parent.insertBefore(entry.element, place);
      } else {
        parent.moveBefore(entry.element, place); // keeps the focus and the caret
      }
    }
    if (focused !== document.activeElement && parent.contains(focused)) focused.focus();

    if (motion) for (const { element } of shown.values()) settle(element, tops.get(element));
  };
}

// settle lets an element glide from where it was, or appear when it was nowhere.
function settle(element, top) {
  const options = { duration: 260, easing: ease };
  if (top === undefined) {
    element.animate([{ opacity: 0, transform: "translateY(-.5rem)" }, {}], options);
  } else if (top !== element.offsetTop) {
    element.animate([{ transform: `translateY(${top - element.offsetTop}px)` }, {}], options);
  }
}

// leave takes an element out of the flow at once, and out of sight soon.
function leave(element, motion, top) {
  if (!motion) {
    element.remove();
    return;
  }
  element.classList.add("leaving");
  element.inert = true;
  element.style.top = `${top}px`;
  element.parentElement.append(element);
  const end = () => element.remove();
  element.animate([{}, { opacity: 0, transform: "translateX(1.5rem)" }], { duration: 200, easing: ease }).finished.then(end, end);
}

// glow draws the eye to an element that somebody else has changed.
export function glow(element) {
  if (still.matches || document.hidden) return;
  const light = getComputedStyle(element).getPropertyValue("--glow");
  element.animate([{ backgroundColor: light }, {}], { duration: 1600, easing: "ease-out" });
}
