// As much of a form as editing has to do with: controls that keep their default, show what they are able to, and have a caret.

type Handler = (e: any) => void;

export class Control {
  form!: Form;
  name: string;
  type: string;
  defaultValue: string;
  checked: boolean;
  defaultChecked: boolean;
  disabled = false;
  readOnly = false;
  scrollTop = 0;
  scrollLeft = 0;
  selectionStart: number | null = 0;
  selectionEnd: number | null = 0;
  selectionDirection: string | null = "none";
  options: { value: string; selected: boolean; defaultSelected: boolean }[] = [];
  labels: { textContent: string; cloneNode(): object; querySelectorAll(): object[] }[] = [];
  textContent = "";
  tagName: string;
  private text: string;

  constructor(type: string, name: string, value = "", more: Partial<Omit<Control, "labels">> & { labels?: { textContent: string }[]; choices?: string[]; chosen?: string[] } = {}) {
    this.type = type;
    this.name = name;
    this.text = this.defaultValue = value;
    this.tagName = type === "submit" ? "BUTTON" : "INPUT";
    const { choices = [], chosen = [], ...rest } = more;
    this.checked = this.defaultChecked = false;
    this.options = choices.map(v => ({ value: v, selected: chosen.includes(v), defaultSelected: chosen.includes(v) }));
    if (type === "select-one" && choices.length && !chosen.length) this.options[0]!.selected = true;
    if (!/^(text|textarea|search|url|tel)$/.test(type)) this.selectionStart = this.selectionEnd = null;
    Object.assign(this, rest);
    for (const l of this.labels) Object.assign(l, { cloneNode: () => l, querySelectorAll: () => [] });
    this.defaultChecked = this.checked;
  }

  get ownerDocument() {
    return { activeElement: this.form.active };
  }

  get value(): string {
    return this.type === "select-one" ? (this.options.find(o => o.selected)?.value ?? "") : this.text;
  }

  /** What is set puts the caret at the end, as browsers do. */
  set value(text: string) {
    if (this.type === "select-one") for (const o of this.options) o.selected = o.value === text;
    this.text = this.type === "textarea" ? text.replace(/\r\n?/g, "\n") : text;
    if (this.selectionStart !== null) this.selectionStart = this.selectionEnd = text.length;
  }

  setSelectionRange(start: number, end: number, direction?: string): void {
    this.selectionStart = start;
    this.selectionEnd = end;
    this.selectionDirection = direction ?? "none";
  }

  closest(): null {
    return null;
  }

  hasAttribute(_name: string): boolean {
    return false;
  }

  getAttribute(_name: string): string | null {
    return null;
  }

  /** The user enters a text, or ticks. */
  enter(text: string | boolean | string[]): this {
    this.form.active = this;
    if (typeof text === "boolean") {
      if (this.type === "radio") for (const c of this.form.elements) if (c.name === this.name) c.checked = false;
      this.checked = text;
    } else if (text instanceof Array) {
      for (const o of this.options) o.selected = text.includes(o.value);
    } else {
      this.value = text;
    }
    this.form.fire("input", this);
    return this;
  }
}

export class Form {
  elements: Control[] = [];
  active: Control | undefined;
  private handlers = new Map<string, Set<Handler>>();

  constructor(...controls: Control[]) {
    for (const c of controls) c.form = this;
    this.elements = controls;
  }

  addEventListener(type: string, f: Handler): void {
    this.handlers.set(type, (this.handlers.get(type) ?? new Set()).add(f));
  }

  removeEventListener(type: string, f: Handler): void {
    this.handlers.get(type)?.delete(f);
  }

  get listening(): number {
    return [...this.handlers.values()].reduce((n, s) => n + s.size, 0);
  }

  fire(type: string, target?: Control, more: object = {}): { prevented: boolean } {
    const e = { type, target, prevented: false, preventDefault: () => (e.prevented = true), ...more };
    for (const f of [...(this.handlers.get(type) ?? [])]) f(e);
    return e;
  }

  /** The user presses the button. */
  submit(): boolean {
    return this.fire("submit").prevented;
  }

  /** As the browser does it: the event first. */
  reset(): void {
    this.fire("reset");
    for (const c of this.elements) {
      c.value = c.defaultValue;
      c.checked = c.defaultChecked;
      for (const o of c.options) o.selected = o.defaultSelected;
    }
  }
}
