// The fields of a form: what they show, and what that is as a value of the row.
//
// A field is compared by what is shown, its text, and not by its value: what a control does to a value (a date without its time, other
// line ends, null as nothing) is no change by the user. The text is a string, or for what may have several parts an array as JSON.

import { difference } from "./difference.ts";

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** What the browser or the application puts into a form is not a field: a version, a token, a button, a file. */
const OTHER = /^(hidden|submit|button|image|reset|file|password|fieldset|output|object)$/;
const TIME = /^\d{4}-\d\d-\d\dT/;

const several = (controls: Control[]) => controls[0]!.type === "select-multiple" || (controls[0]!.type === "checkbox" && controls.length > 1);
const options = (c: Control) => [...(c as HTMLSelectElement).options];
const two = (n: number) => String(n).padStart(2, "0");

/** A time as the control for local ones shows it. */
function local(time: string): string {
  const t = new Date(time);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}T${two(t.getHours())}:${two(t.getMinutes())}`;
}

export class Fields {
  private _form: HTMLFormElement | undefined;
  private _names: readonly string[] | undefined;

  constructor(form: HTMLFormElement | undefined, names: readonly string[] | undefined) {
    this._form = form;
    this._names = names;
  }

  /** The names of the fields that there are now: an application may add some. */
  _all(): string[] {
    const names = new Set<string>();
    for (const c of this._elements()) {
      if (c.name && (this._names ? this._names.includes(c.name) : !OTHER.test(c.type))) names.add(c.name);
    }
    return [...names];
  }

  _controls(name: string): Control[] {
    return this._elements().filter(c => c.name === name && (this._names || !OTHER.test(c.type)));
  }

  /** What is shown; or with `served`, what the page came with. */
  _text(name: string, served = false): string {
    const controls = this._controls(name), [first] = controls;
    if (!first) return "";
    const checked = (c: Control) => (served ? (c as HTMLInputElement).defaultChecked : (c as HTMLInputElement).checked);
    if (first.type === "radio") return controls.find(checked)?.value ?? "";
    if (first.type === "checkbox") return several(controls) ? JSON.stringify(controls.filter(checked).map(c => c.value)) : String(checked(first));
    if (/^select/.test(first.type)) {
      const all = options(first).filter(o => (served ? o.defaultSelected : o.selected)).map(o => o.value);
      // A select of one shows its first option when none is selected.
      return several(controls) ? JSON.stringify(all) : (all.pop() ?? (served ? options(first)[0]?.value : undefined) ?? "");
    }
    return tidy(first, served ? (first as HTMLInputElement).defaultValue : first.value);
  }

  /** What a value would show. */
  _shown(name: string, value: unknown): string {
    const controls = this._controls(name), [first] = controls;
    if (!first) return "";
    if (several(controls)) {
      const all = ((value ?? []) as unknown[]).map(String);
      // In the order of the controls, and without what none of them stands for.
      const there = first.type === "checkbox" ? controls.map(c => c.value) : options(first).map(o => o.value);
      return JSON.stringify(there.filter(v => all.includes(v)));
    }
    if (first.type === "checkbox") return String(!!value);
    if (value === null || value === undefined) return "";
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    if (TIME.test(text)) {
      if (first.type === "date") return text.slice(0, 10);
      if (first.type === "datetime-local") return local(text);
    }
    return tidy(first, text);
  }

  /** The value that the field has now; `was` is the one that it had, of the same type. */
  _value(name: string, was: unknown): unknown {
    const controls = this._controls(name), text = this._text(name), type = controls[0]?.type ?? "";
    if (text === this._shown(name, was)) return was ?? (several(controls) ? [] : was);
    if (several(controls)) {
      const all = JSON.parse(text) as string[];
      return was instanceof Array && was.length && was.every(v => typeof v === "number") ? all.map(Number) : all;
    }
    if (type === "checkbox") return text === "true";
    const numeric = /^(number|range)$/.test(type);
    if (!text) return typeof was === "string" && !numeric && !/^(date|time|month|week)/.test(type) ? "" : null;
    if (typeof was === "boolean") return text === "true" ? true : text === "false" ? false : text;
    if (numeric || typeof was === "number") return Number.isNaN(+text) ? text : +text;
    if (type === "datetime-local") return new Date(text).toISOString();
    // A row whose dates are times shows it by those that it has; without one the server's word decides.
    if (type === "date" && TIME.test(String(was))) return text + "T00:00:00Z";
    return text;
  }

  /** Shows a text, and leaves focus, caret and scrolling where they are. */
  _show(name: string, text: string): void {
    if (text === this._text(name)) return;
    const controls = this._controls(name), first = controls[0]!;
    if (first.type === "radio" || first.type === "checkbox") {
      const all = several(controls) ? (JSON.parse(text) as string[]) : [text];
      for (const c of controls as HTMLInputElement[]) c.checked = first.type === "checkbox" && controls.length === 1 ? text === "true" : all.includes(c.value);
    } else if (several(controls)) {
      const all = JSON.parse(text) as string[];
      for (const o of options(first)) o.selected = all.includes(o.value);
    } else {
      write(first, text);
    }
  }

  /** How the field is called where people see it. */
  _label(name: string): string {
    const [first] = this._controls(name);
    const legend = first?.type === "radio" && first.closest("fieldset")?.querySelector("legend");
    // A label may stand around its control, whose text is none of its own.
    const label = (legend || first?.labels?.[0])?.cloneNode(true) as Element | undefined;
    label?.querySelectorAll("input,textarea,select,button").forEach(c => c.remove());
    return label?.textContent?.trim().replace(/:$/, "") || first?.getAttribute("aria-label") || name;
  }

  /** A hidden input of a form that works without a script. */
  _hidden(name: string): HTMLInputElement | undefined {
    return this._elements().find(c => c.name === name && c.type === "hidden") as HTMLInputElement | undefined;
  }

  private _elements(): Control[] {
    return this._form ? ([...this._form.elements] as Control[]) : [];
  }
}

/** Text as a control holds it. */
const tidy = (c: Control, text: string) => (c.type === "textarea" ? text.replace(/\r\n?/g, "\n") : text.replace(/[\r\n]/g, ""));

function write(c: Control, text: string): void {
  const was = c.value, { scrollTop, scrollLeft } = c;
  const { selectionStart: start, selectionEnd: end, selectionDirection } = c as HTMLInputElement;
  const active = c.ownerDocument?.activeElement === c;
  c.value = text;
  // A control that has no caret (of a number, of a date) says null.
  if (!active || typeof start !== "number") return;
  const pieces = difference(was, text);
  // What stands behind something else than before moves along; what stood in what is gone, to where that was.
  const place = (at: number) => {
    let from = 0, to = 0;
    for (const { is, text: { length } } of pieces) {
      if (is === "both" && at <= from + length) return to + at - from;
      if (is === "theirs" && at < from + length) return to;
      if (is !== "mine") from += length;
      if (is !== "theirs") to += length;
    }
    return to;
  };
  (c as HTMLInputElement).setSelectionRange(place(start), place(end!), selectionDirection ?? undefined);
  c.scrollTop = scrollTop;
  c.scrollLeft = scrollLeft;
}
