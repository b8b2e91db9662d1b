// Code generated from the routers of the application by github.com/swampline/live/typescript. DO NOT EDIT.

import type { Filter, Only, Order } from "../../dist/live.d.ts";

interface Tree {
  name: string;
  kids?: readonly (Tree | null)[];
}

export interface Routers {
  lines: {
    row: { id: string; order_id: number; text: string; cost: number };
    where: Filter<{ id: Only<string>; order_id: "int" }>;
    order: Order<"order_id">;
    create: { text?: string };
    update: never;
    verbs: {};
    include: {};
  };
  "order-tags": {
    row: { id: string; order_id: number; user_id: number };
    where: Filter<{ id: "text"; order_id: "int" }>;
    order: Order<"id" | "order_id">;
    create: Record<string, never>;
    update: never;
    verbs: {};
    include: {};
  };
  orders: {
    row: {
      id: number;
      owner_id?: number | null;
      state: "open" | "paid";
      was?: "open" | "paid" | null;
      colour?: "red" | "light blue" | "\"quoted\"";
      total?: number;
      price?: number;
      note?: string | null;
      paid?: boolean;
      ref?: string;
      hash?: string | null;
      tag_ids?: readonly number[] | null;
      tree?: Tree;
      meta?: unknown;
      labels?: Record<string, boolean | null> | null;
      due?: string | null;
      city?: string | null;
      created_at?: string;
      deleted_at?: string | null;
      version?: number;
      extra?: unknown;
      overdue?: boolean;
      owner: { id: number; name: string; phone?: string; addr: `${number}.${string}` | null } | null;
      parts?: readonly { id: string; order_id: number; text: string; cost: number }[];
    };
    where: Filter<{
      id: "int";
      owner_id: "int?";
      state: Only<"open" | "paid">;
      was: Only<"open" | "paid" | null>;
      colour: "text";
      total: "float";
      price: Only<number>;
      note: "text?";
      paid: "bool";
      ref: Only<string>;
      hash: Only<string | null>;
      due: "time?";
      city: "text?";
      created_at: "time";
      deleted_at: "time?";
      version: "int";
    }>;
    order: Order<"id" | "owner_id" | "colour" | "total" | "note" | "paid" | "due" | "city" | "created_at" | "deleted_at" | "version">;
    create: {
      owner_id?: number | null;
      state?: "open" | "paid";
      colour?: "red" | "light blue" | "\"quoted\"";
      total?: number;
      price?: number;
      note?: string | null;
      paid?: boolean;
      hash?: unknown;
      tag_ids?: readonly number[] | null;
      meta?: unknown;
      due?: string | null;
      city?: string;
    };
    update: {
      owner_id?: number | null;
      state?: "open" | "paid";
      colour?: "red" | "light blue" | "\"quoted\"";
      total?: number;
      price?: number;
      note?: string | null;
      paid?: boolean;
      hash?: unknown;
      tag_ids?: readonly number[] | null;
      meta?: unknown;
      due?: string | null;
      city?: string;
    };
    verbs: {
      archive: { in: { reason: string; silent?: boolean; before: string | null; "x-odd name": string; only?: readonly ("open" | "paid")[] }; out: { archived: boolean; sum: unknown; trees: readonly Tree[] | null; grid: readonly (readonly (number | null)[] | null)[] | null; any: unknown }; row: true };
      grow: { in: Tree; out: Record<string, Tree> | null; row: false };
      "remind-all": { in: undefined; out: undefined; row: false };
    };
    include: {
      buyer: Routers["users"]["row"] | null;
      guessed: Routers["users"]["row"] | null | readonly Routers["users"]["row"][];
      lines: readonly Routers["lines"]["row"][];
      tagged: readonly Routers["users"]["row"][] | null;
      watchers: readonly Routers["users"]["row"][];
    };
  };
  unlisted: {
    row: { id: string; name: string };
    where: Filter<{}>;
    order: never;
    create: never;
    update: never;
    verbs: {
      ping: { in: string; out: number; row: false };
    };
    include: {};
  };
  users: {
    row: { id: number; name: string; phone: string; addr: string };
    where: Filter<{ id: "int" }>;
    order: Order<"id">;
    create: never;
    update: never;
    verbs: {};
    include: {};
  };
}

export interface Views {
  orders: {
    guest: { id: number; state: "open" | "paid"; owner: { id: number; name: string; addr: `${number}.${string}` | null } | null };
    staff: {
      id: number;
      owner_id: number | null;
      state: "open" | "paid";
      was: "open" | "paid" | null;
      colour: "red" | "light blue" | "\"quoted\"";
      total: number;
      note: string | null;
      paid: boolean;
      ref: string;
      hash: string | null;
      tag_ids: readonly number[] | null;
      tree: Tree;
      meta: unknown;
      labels: Record<string, boolean | null> | null;
      due: string | null;
      city: string | null;
      created_at: string;
      deleted_at: string | null;
      version: number;
      extra: unknown;
      overdue: boolean;
      owner: { id: number; name: string; phone: string; addr: `${number}.${string}` | null } | null;
      parts: readonly { id: string; order_id: number; text: string; cost: number }[];
    };
  };
}
