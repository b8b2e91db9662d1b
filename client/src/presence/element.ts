// <live-editors router="articles" key="7">: who is at an object, by name, in words that a screen reader says when they change.
//
// All elements of a page that are about objects of one router share one presence, so that a list may have one in each row.

import type { Core } from "../hook.ts";
import { Here } from "./presence.ts";
import type { EditorsOptions, Person } from "./types.ts";

/** What somebody does, of what his tabs do: the first of these, and away only if none of them is looked at. */
const BY_WEIGHT = ["editing", "typing", "viewing", "idle"];

export function doing({ metas }: Person): string {
  const here = metas.filter(m => !m.away);
  if (!here.length) return "away";
  const states = here.map(m => m.state.state ?? "viewing");
  return BY_WEIGHT.find(s => states.includes(s)) ?? states[0]!;
}

const words = (p: Person) => ({ editing: " (editing)", typing: " (typing)", away: " (away)" } as Record<string, string>)[doing(p)] ?? "";

/** What the elements of one router look at. */
class Pool {
  private _here: Here;
  private _elements = new Map<{ _render(people: readonly Person[]): void }, string>();
  private _due = false;

  constructor(live: Core, router: string, name: string | undefined) {
    this._here = new Here(live, { router, keys: [] }, { ...(name && { name }) });
    this._here.subscribe(() => {
      for (const [e, key] of this._elements) e._render(this._here.at(key));
    });
  }

  _add(element: { _render(people: readonly Person[]): void }, key: string): void {
    this._elements.set(element, key);
    element._render(this._here.at(key));
    this._look();
  }

  _delete(element: { _render(people: readonly Person[]): void }): void {
    if (this._elements.delete(element)) this._look();
  }

  /** A list that is drawn anew takes its elements out and puts them in again: what counts is which are there then. */
  private _look(): void {
    if (this._due) return;
    this._due = true;
    void Promise.resolve().then(() => {
      this._due = false;
      this._here.look([...this._elements.values()]);
    });
  }
}

export function editors(live: unknown, { tag = "live-editors", name, most = 4, says = words, more = n => `and ${n} more` }: EditorsOptions = {}): void {
  const pools = new Map<string, Pool>();
  const pool = (router: string) => {
    const p = pools.get(router) ?? new Pool(live as Core, router, name);
    pools.set(router, p);
    return p;
  };

  globalThis.customElements.define(tag, class extends HTMLElement {
    static observedAttributes = ["router", "key"];
    private _pool: Pool | undefined;
    private _said = "";

    connectedCallback(): void {
      for (const [attribute, value] of [["role", "status"], ["aria-live", "polite"]] as const) {
        if (!this.hasAttribute(attribute)) this.setAttribute(attribute, value);
      }
      this._begin();
    }

    disconnectedCallback(): void {
      this._pool?._delete(this);
      this._pool = undefined;
    }

    attributeChangedCallback(): void {
      if (this._pool) this._begin();
    }

    private _begin(): void {
      const router = this.getAttribute("router"), key = this.getAttribute("key");
      this._pool?._delete(this);
      this._pool = router && key ? pool(router) : undefined;
      this._pool ? this._pool._add(this, key!) : this._render([]);
    }

    /** Names are text and nothing else, whatever stands in them. What is as it was is not said again. */
    _render(people: readonly Person[]): void {
      const others = people.filter(p => !p.me), shown = others.slice(0, most), rest = others.length - shown.length;
      const said = JSON.stringify([shown.map(p => [p.id, p.name, says(p), doing(p), p.info, p.metas.some(m => m.lock)]), rest]);
      if (said === this._said) return;
      this._said = said;
      this.toggleAttribute("data-empty", !others.length);
      const nodes: (Node | string)[] = [];
      for (const p of shown) {
        const span = document.createElement("span");
        span.textContent = p.name + says(p);
        span.className = "live-person";
        span.dataset["state"] = doing(p);
        if (p.metas.some(m => m.lock)) span.dataset["lock"] = "";
        if (typeof p.info?.color === "string") span.style.setProperty("--live-color", p.info.color);
        if (nodes.length) nodes.push(", ");
        nodes.push(span);
      }
      if (rest) nodes.push(` ${more(rest)}`);
      this.replaceChildren(...nodes);
    }
  });
}
