// The form of the file that package typescript of the Go module writes for an application's routers, by hand here: what stands in this
// one is all that there may be. generated.ts beside it is one that was written. It is a module that imports types only, and exports an
// interface, Routers, to be used as connect<Routers>("/live/"), and another one, Views, if there are any.
//
// - The types come from "@swampline/live", or from wherever the application has the client's live.d.ts.
// - A member of Routers is a router, under the name by which clients subscribe; quoted where it is no identifier. Its type has these
//   seven members, always all of them, in this order:
//   row      the published fields. A number of Go is number, text and times (RFC 3339) are string, what may be null is "| null", a
//            nested serializer is its object or null, or an array of them, and what encodes itself to JSON in a way of its own is unknown,
//            as are computed fields. Where the serializer has views, the fields that some view lacks are optional.
//   where    Filter<{…}> with the fields that clients may filter by, and their types: "int", "float", "text", "bool", "time", "opaque",
//            each with "?" behind when it may be null; or Only<…> with the type of the values, for a field that is compared by equality
//            only and whose values are known: Only<string> for a UUID, Only<"open" | "paid"> for an enum. Filter<{}> if there is none,
//            or the router has no list.
//   order    Order<…> with the names of the fields that rows may be ordered by; never if there is none.
//   create   the fields that may be written, each optional, for the application may have initial values; unknown where a func of the
//            application reads them; Record<string, never> if there is none; never without create.
//   update   the same; never without update.
//   verbs    the verbs of the application: in and out, undefined for struct{}; row: true when it is called with a key. {} if none.
//   include  the relations: what a row's member is when it is known. One row or null behind a key; an array behind a list of keys,
//            a field, or another router; any of these behind a field that may be both. {} if none.
// - A member of Views is a router whose serializer has views, under the same name. It has a member for each view: the row as that audience
//   sees it. where, order, create and update do not depend on the view: the server refuses what it hides.
// - Nothing in it is a class, a value or a generic. Rows of other routers are named by Routers["…"]["row"]. Types of Go that contain
//   themselves are interfaces in front of Routers, which are not exported.

import type { Filter, Only, Order } from "../../dist/live.d.ts";

export interface Routers {
  orders: {
    row: { id: number; owner_id: number | null; state: "open" | "paid"; total: number; note: string; paid: boolean; created_at: string; due: string | null };
    where: Filter<{ id: "int"; owner_id: "int?"; state: Only<"open" | "paid">; total: "float"; note: "text"; paid: "bool"; created_at: "time"; due: "time?" }>;
    order: Order<"id" | "owner_id" | "total" | "note" | "paid" | "created_at" | "due">;
    create: { owner_id?: number | null; note?: string; total?: number };
    update: { note?: string; paid?: boolean };
    verbs: {
      archive: { in: { reason: string; silent?: boolean }; out: { archived: boolean }; row: true };
      remind: { in: undefined; out: undefined; row: true };
      sweep: { in: { before?: string }; out: { swept: number }; row: false };
    };
    include: { owner: Routers["users"]["row"] | null; lines: readonly Routers["lines"]["row"][] };
  };
  users: {
    row: { id: number; name?: string };
    where: Filter<{}>;
    order: never;
    create: never;
    update: never;
    verbs: {};
    include: {};
  };
  lines: {
    row: { id: string; order_id: number; text: string; meta: unknown };
    where: Filter<{ id: Only<string>; order_id: "int"; meta: "opaque" }>;
    order: Order<"order_id">;
    create: { order_id?: number; text?: string };
    update: { text?: string };
    verbs: {};
    include: {};
  };
}

export interface Views {
  users: {
    guest: { id: number };
    staff: { id: number; name: string };
  };
}
