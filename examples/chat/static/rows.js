// rows(parent, template, { key, made, fill }) returns a function that draws a list of rows as the children of parent. A row keeps its
// element for as long as it is there, so nothing flickers, and what has the focus keeps it. key(row) tells rows apart; made(element)
// gives a new element its behaviour; fill(element, row, before) writes a row into its element, and before is the row above it.

export function rows(parent, template, { key, made = () => {}, fill }) {
  const shown = new Map(); // key → { element, row }

  return (list) => {
    const focused = document.activeElement;
    // A row that was just created here is drawn before the server gave it a key. Now it may have one.
    for (const [name, entry] of [...shown]) {
      const now = key(entry.row);
      if (now !== name && shown.delete(name)) shown.set(now, entry);
    }
    const wanted = new Set(list.map(key));
    for (const [name, { element }] of shown) {
      if (!wanted.has(name) && shown.delete(name)) element.remove();
    }
    let place = parent.firstElementChild;
    let before;
    for (const row of list) {
      const name = key(row);
      let entry = shown.get(name);
      const fresh = !entry;
      if (fresh) {
        shown.set(name, (entry = { element: template.content.firstElementChild.cloneNode(true) }));
        made(entry.element);
      }
      fill(entry.element, row, before);
      entry.row = before = row;
      if (entry.element === place) place = place.nextElementSibling;
      else if (fresh || !parent.moveBefore) parent.insertBefore(entry.element, place);
      else parent.moveBefore(entry.element, place); // keeps the focus and the caret
    }
    if (focused !== document.activeElement && parent.contains(focused)) focused.focus();
  };
}
