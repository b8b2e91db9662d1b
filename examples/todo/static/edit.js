// Edit in place. editable(root, label, { text, save }) turns the label inside root into the input of the form inside root,
// and back. Enter saves and Escape does not; leaving the field saves what was changed. text() is what the input begins
// with, save(text, before) gets what was typed and what was there when typing began, and may reject with the errors of the
// fields: then the input opens again, with what was typed and what is wrong with it.

export function editable(root, label, { text, save }) {
  const form = root.querySelector("form.edit");
  const input = form.querySelector("input");
  let before = "";

  const open = () => {
    before = input.value = text();
    label.hidden = true;
    form.hidden = false;
    input.focus();
    input.select();
  };
  const close = () => {
    const focused = form.contains(document.activeElement);
    form.hidden = true;
    label.hidden = false;
    fieldError(input, "");
    if (focused) label.focus();
  };
  const finish = () => {
    if (form.hidden) return;
    const typed = input.value;
    close();
    if (typed.trim() === before.trim()) return;
    const began = before;
    save(typed, began)?.catch((error) => {
      const message = messageFor(error, input.name);
      if (!message) return;
      open();
      before = began;
      input.value = typed;
      fieldError(input, message);
    });
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    finish();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  input.addEventListener("input", () => fieldError(input, ""));
  // A row that moves takes the focus from its input for a moment: look again when that is over.
  input.addEventListener("blur", () => queueMicrotask(() => {
    if (input.isConnected && document.activeElement !== input && document.hasFocus()) finish();
  }));
  return open;
}

// fieldError shows a message at an input, in the element that describes it, or takes it away again.
export function fieldError(input, message) {
  document.getElementById(input.getAttribute("aria-describedby")).textContent = message;
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

// messageFor returns what an error says about a field, if it does.
export function messageFor(error, field) {
  return error.errors?.[field]?.join(" ") ?? "";
}
