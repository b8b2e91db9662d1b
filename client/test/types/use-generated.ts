// The same as use.ts for generated.ts, which the tests of package typescript write from routers of Go: that its form is right, and that
// what it says of them is what their server takes.

import type { Live } from "../../dist/live.d.ts";
import type { Routers, Views } from "./generated.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(is: Same<A, B>): void => void is;

export function filters(live: Live<Routers>): void {
  live.list("orders", { where: { state: "open", was: null, colour: { startswith: "light" }, owner_id: { in: [1, null] }, price: 12, paid: true } });
  live.list("orders", { where: { note__icontains: "x", due__isnull: true, version__gt: 3, ref__in: ["a"], hash: null, created_at: { lt: "2026-11-22T10:00:00Z" } } });
  live.list("order-tags", { where: { id__contains: "x" }, order: ["-order_id", "id"] });
  // @ts-expect-error: no such field
  live.list("orders", { where: { stat: "open" } });
  // @ts-expect-error: nor here
  live.list("orders", { where: { not: { vresion: 3 } } });
  // @ts-expect-error: one for rights only
  live.list("orders", { where: { boss: 7 } });
  // @ts-expect-error: a computed one
  live.list("orders", { where: { overdue: true } });
  // @ts-expect-error: a word that is none of the values
  live.list("orders", { where: { state: "lost" } });
  // @ts-expect-error: null, where there is none
  live.list("orders", { where: { state: null } });
  // @ts-expect-error: not of this type
  live.list("orders", { where: { price: { gt: 3 } } });
  // @ts-expect-error: the order of these says nothing
  live.list("orders", { order: "state" });
  // @ts-expect-error: this one cannot be listed
  live.list("unlisted", { where: { name: "x" } });
}

export function rows(live: Live<Routers>): void {
  const orders = live.list("orders", { include: ["buyer", "lines", "tagged", "watchers", "guessed"], order: "-created_at" });
  orders.subscribe(([order]) => {
    const state: "open" | "paid" = order!.state;
    const total: number | undefined = order!.total;
    const overdue: boolean | undefined = order!.overdue;
    const kid: string | undefined = order!.tree?.kids?.[0]?.kids?.[0]?.name;
    const cost: number | undefined = order!.parts?.[0]?.cost;
    const buyer: string | undefined = order!.buyer?.name;
    const lines: string[] | undefined = order!.lines?.map(l => l.text);
    const tagged: number | undefined = order!.tagged?.length;
    const watcher: string | undefined = order!.watchers?.[0]?.phone;
    // @ts-expect-error: a view may hide it
    void order!.total.toFixed();
    // @ts-expect-error: there may be none
    void order!.owner.name;
    // @ts-expect-error: it may be one row or several
    void order!.guessed?.length;
    // @ts-expect-error: one for rights only
    void order!.boss;
    // @ts-expect-error: not published
    void order!.Secret;
    // @ts-expect-error: nobody knows what this is
    void order!.extra.length;
    void [state, total, overdue, kid, cost, buyer, lines, tagged, watcher];
  });
}

export function views(guest: Views["orders"]["guest"], staff: Views["orders"]["staff"]): void {
  same<keyof Views, "orders">(true);
  same<keyof Views["orders"], "guest" | "staff">(true);
  same<keyof typeof guest, "id" | "state" | "owner">(true);
  void [staff.total.toFixed(), staff.owner?.phone.length, staff.parts[0]?.cost, guest.owner?.name];
  const row: Routers["orders"]["row"][] = [guest, { ...staff, price: 1 }];
  void row;
  // @ts-expect-error: the view of the nested row hides it
  void guest.owner?.phone;
  // @ts-expect-error: hidden
  void staff.price;
}

export function writes(live: Live<Routers>): void {
  const orders = live.list("orders");
  void orders.create({ state: "paid", colour: "light blue", tag_ids: [1, 2], hash: { any: "thing" }, note: null, city: "x", meta: [1] });
  void orders.update(1, { due: null, price: 1 });
  void live.list("order-tags").create({});
  // @ts-expect-error: it has no field that can be written
  void live.list("order-tags").create({ id: "x" });
  // @ts-expect-error: not a value
  void orders.create({ colour: "blue" });
  // @ts-expect-error: a field that cannot be written
  void orders.create({ ref: "x" });
  // @ts-expect-error: the rows that it is in may have none, but nobody can write that
  void orders.update(1, { city: null });
  // @ts-expect-error: there is no update
  void live.list("lines").update("x", { text: "x" });
}

export function verbs(live: Live<Routers>): void {
  void live.call("orders", "archive", { key: 1, data: { reason: "old", before: null, "x-odd name": "7", only: ["open"] } }).then(out => {
    const grid: number | null | undefined = out.grid?.[0]?.[0];
    void [out.archived, out.trees?.[0]?.kids, grid];
    // @ts-expect-error: what a big.Int marshals to is not known
    void out.sum.length;
  });
  void live.call("orders", "remind-all");
  void live.call("orders", "grow", { data: { name: "oak", kids: [{ name: "twig" }, null] } }).then(out => out?.["x"]?.kids?.[0]?.name);
  void live.call("unlisted", "ping", { data: "x" }).then(out => out.toFixed());
  // @ts-expect-error: no such member
  void live.call("orders", "grow", { data: { name: "oak", kids: [{ nam: "twig" }] } });
  // @ts-expect-error: a number in a string
  void live.call("orders", "archive", { key: 1, data: { reason: "old", before: null, "x-odd name": 7 } });
}
