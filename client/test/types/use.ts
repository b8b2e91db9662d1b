// What a schema lets through and what it does not. Nothing of this runs: tsc refuses a line that is wrong, and an @ts-expect-error
// above one that is not.

import type { AnyLive, List, Live, connect as Connect } from "../../dist/live.d.ts";
import type { Routers } from "./routers.ts";

declare const connect: typeof Connect;

/** Whether two types are the same one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(is: Same<A, B>): void => void is;

type Order = Routers["orders"]["row"];

export function names(live: Live<Routers>): void {
  live.list("orders");
  // @ts-expect-error: no such router
  live.list("order");
  // @ts-expect-error: nor here
  live.count("order");
  live.channel<number>("anything").on(n => n + 1);
}

export function filters(live: Live<Routers>): void {
  live.list("orders", { where: { paid: false, note: "x", state: "open", owner_id: null, created_at: "2026-11-22T10:00:00Z" } });
  live.list("orders", { where: { total: { gt: 1, lte: 2.5, ne: 2 }, note: { icontains: "x", startswith: "y", isnull: false }, id: { in: [1, 2] } } });
  live.list("orders", { where: { note__contains: "x", id__in: [1], total__gte: 1, due__lt: "2026-11-22T10:00:00Z", state__ne: "paid", due__isnull: true } });
  live.list("orders", { where: [{ paid: true }, { not: { owner_id: { in: [1, null] } } }, [{ id: 1 }]] });
  live.list("lines", { where: { id: { in: ["a", "b"] }, meta: { eq: { a: [1] } } } });
  live.count("orders", { where: { paid: true } });
  // @ts-expect-error: no such field
  live.list("orders", { where: { paied: false } });
  // @ts-expect-error: one of another router
  live.list("orders", { where: { order_id: 1 } });
  // @ts-expect-error: one that cannot be filtered by
  live.list("users", { where: { name: "x" } });
  // @ts-expect-error: deep inside
  live.list("orders", { where: [{ paid: true }, { not: { paied: true } }] });
  // @ts-expect-error: a wrong value
  live.list("orders", { where: { paid: "false" } });
  // @ts-expect-error: null, where there is none
  live.list("orders", { where: { id: null } });
  // @ts-expect-error: a word that is none of the values
  live.list("orders", { where: { state: "lost" } });
  // @ts-expect-error: a wrong value of a lookup
  live.list("orders", { where: { id: { in: ["1"] } } });
  // @ts-expect-error: no such lookup
  live.list("orders", { where: { note: { like: "x" } } });
  // @ts-expect-error: not of this type
  live.list("orders", { where: { id: { contains: 1 } } });
  // @ts-expect-error: equality only
  live.list("orders", { where: { state: { lt: "open" } } });
  // @ts-expect-error: nothing is less than null
  live.list("orders", { where: { due: { lt: null } } });
  // @ts-expect-error: no such lookup, behind two underscores
  live.list("orders", { where: { paid__gt: true } });
  // @ts-expect-error: no such field
  live.list("orders", { where: { paied__eq: true } });
  // @ts-expect-error: a wrong value
  live.list("orders", { where: { total__gte: "1" } });
  // @ts-expect-error: in counts, too
  live.count("orders", { where: { paied: true } });
  // @ts-expect-error: and in explanations
  void live.explain("orders", 1, { where: { paied: true } });
}

export function orders(live: Live<Routers>): void {
  live.list("orders", { order: "-created_at", limit: 20 });
  live.list("orders", { order: ["-paid", "created_at", "-id"] });
  // @ts-expect-error: no such field
  live.list("orders", { order: "created" });
  // @ts-expect-error: one that rows cannot be ordered by
  live.list("orders", { order: "state" });
  // @ts-expect-error: no such field
  live.list("orders", { order: ["id", "-created"] });
}

export function rows(live: Live<Routers>): void {
  const bare = live.list("orders");
  same<(typeof bare.rows)[number], Order>(true);
  // @ts-expect-error: not included
  void bare.rows[0]!.owner;
  const whole = live.list("orders", { include: ["owner", "lines"], limit: 5 });
  whole.subscribe(([row]) => {
    const owner: Routers["users"]["row"] | null | undefined = row!.owner;
    const texts: string[] | undefined = row!.lines?.map(l => l.text);
    // @ts-expect-error: it may not be known yet, and there may be none
    void row!.owner.name;
    // @ts-expect-error: it is the server's
    row!.owner = null;
    void [owner, texts, row!.total.toFixed()];
  });
  // @ts-expect-error: no such relation
  live.list("orders", { include: ["owners"] });
}

export function writes(live: Live<Routers>): void {
  const list = live.list("orders");
  void list.create({ note: "x", owner_id: null }).then(row => row?.created_at.length);
  void list.create([{ note: "x" }, {}]).then(rows => rows[0]!.note);
  void list.update(1, { paid: true });
  void list.update([{ key: 1, data: { paid: true }, version: 3 }]);
  void list.delete([1, "2"]);
  // @ts-expect-error: a field that cannot be written
  void list.create({ created_at: "now" });
  // @ts-expect-error: a wrong value
  void list.create({ note: 7 });
  // @ts-expect-error: in one of several
  void list.create([{ note: "x" }, { notes: "x" }]);
  // @ts-expect-error: one that only create takes
  void list.update(1, { total: 7 });
  // @ts-expect-error: in one of several
  void list.update([{ key: 1, data: { total: 7 } }]);
  // @ts-expect-error: nobody creates users
  void live.list("users").create({ name: "x" });
}

export function verbs(live: Live<Routers>): void {
  void live.call("orders", "archive", { key: 1, version: 2, data: { reason: "old" } }).then(out => out.archived);
  void live.call("orders", "remind", { key: "1" });
  void live.call("orders", "sweep").then(out => out.swept.toFixed());
  void live.call("orders", "sweep", { data: { before: "2026-11-22T10:00:00Z" } });
  // @ts-expect-error: no such verb
  void live.call("orders", "destroy");
  // @ts-expect-error: that of another router
  void live.call("lines", "archive", { key: 1, data: { reason: "old" } });
  // @ts-expect-error: of which row
  void live.call("orders", "archive", { data: { reason: "old" } });
  // @ts-expect-error: without its data
  void live.call("orders", "archive", { key: 1 });
  // @ts-expect-error: with wrong data
  void live.call("orders", "archive", { key: 1, data: { reason: 7 } });
  // @ts-expect-error: of no row
  void live.call("orders", "sweep", { key: 1 });
  // @ts-expect-error: it says something else
  void live.call("orders", "sweep").then(out => out.archived);
}

export function liberal(): void {
  const live = connect("/live/");
  same<typeof live, AnyLive>(true);
  same<Live, AnyLive>(true);
  const list: List<{ title: string }> = live.list<{ title: string }>("todos", { where: { any: { thing: 1 } }, order: "-a,b", include: ["x"], limit: 5 });
  void list.create({ title: "x" });
  void live.call<number>("todos", "any", { key: 1, data: 7 }).then(n => n.toFixed());
  const typed = connect<Routers>("/live/", { transport: "sse" });
  same<typeof typed, Live<Routers>>(true);
  names(typed);
}
