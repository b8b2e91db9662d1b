// rows(parent, template, { key, made, fill }) returns a function that draws a list of rows as the children of parent. A row keeps its
// element for as long as it is there, so that nothing flickers and what has the focus keeps it. made(element, row) gives a new element
// its behaviour; row() is what it shows. fill(element, row, was) writes a row into its element; was is the row as it was drawn before. With a second argument it fills all rows again.

const still = matchMedia("(prefers-reduced-motion: reduce)");

export function rows(parent, template, { key, made = () => {}, fill }) {
  let shown = new Map(); // key → { element, row }
  let first = true;

  return (list, again = false) => {
    if (first) parent.replaceChildren(); // the skeleton
    // A row that was just created here is drawn before the server gave it a key. Now it may have one.
    shown = new Map([...shown.values()].map((entry) => [key(entry.row), entry]));
    const wanted = new Set(list.map(key));
    for (const [name, { element }] of shown) {
      if (wanted.has(name)) continue;
      shown.delete(name);
      element.remove();
    }
    let place = parent.firstElementChild;
    for (const row of list) {
      let entry = shown.get(key(row));
      if (!entry) {
        const fresh = { element: template.content.firstElementChild.cloneNode(true), row };
        shown.set(key(row), (entry = fresh));
        made(fresh.element, () => fresh.row);
        fill(fresh.element, row, undefined);
        if (!first) appear(fresh.element);
      } else if (again || entry.row !== row) {
        fill(entry.element, row, entry.row);
        entry.row = row;
      }
      if (entry.element === place) place = place.nextElementSibling;
      else if (parent.moveBefore && entry.element.isConnected) parent.moveBefore(entry.element, place);
      else parent.insertBefore(entry.element, place);
    }
    first = false;
  };
}

function appear(element) {
  if (!still.matches && !document.hidden) element.animate([{ opacity: 0, transform: "translateY(-.4rem)" }, {}], { duration: 240, easing: "ease-out" });
}

// glow draws the eye to an element that has changed.
export function glow(element) {
  if (still.matches || document.hidden) return;
  element.animate([{ backgroundColor: getComputedStyle(element).getPropertyValue("--glow") }, {}], { duration: 1400, easing: "ease-out" });
}
