// What presence.d.ts lets through and what it does not, for a client with a schema and for one without. Nothing of this runs.

import type { AnyLive, Live } from "../../dist/live.d.ts";
import type { Editing, Person, Presence, editing as Edit, editors as Define, presence as Make } from "../../dist/presence.d.ts";
import type { Routers } from "./routers.ts";

declare const presence: typeof Make;
declare const editing: typeof Edit;
declare const editors: typeof Define;

export function there(live: Live<Routers>, any: AnyLive, form: HTMLFormElement): Editing {
  const here: Presence = presence(live, "orders", 42, { state: { state: "editing", field: "title", anything: 1 } });
  presence(any, "orders", [1, "2"], { name: "who" });
  presence(any, { channel: "chat:7" }, { limit: 50, look: true });
  presence(any, { router: "orders", key: 1 });
  // @ts-expect-error: a place is an object or a channel
  presence(any, "orders");
  // @ts-expect-error: a state is an object
  here.set("editing");
  here.subscribe((people: readonly Person[], { state, error }) => void [people[0]?.metas[0]?.on, state, error?.code]);
  // @ts-expect-error: what is told is not to be changed
  here.people.push();
  editors(live, { says: p => p.name, more: n => `${n}` });
  return editing(live, "orders", "42", {
    form, lock: true, idleAfter: 1000,
    onConflict: ([c]) => void c?.difference.map(p => p.text),
    onSaved: ({ own, changed }) => void (own && changed.length),
    onGone: (reason: "deleted" | "forbidden", text: string) => void [reason, text],
    save: async ({ data, base, version }) => ({ ...base, ...data, version }),
  });
}
