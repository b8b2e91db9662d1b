// Who is where, at the tests' server.

import type { ClientMessage, Fields, ServerMessage } from "../src/wire.ts";
import type { Server } from "./server.ts";

type Subscribe = Extract<ClientMessage, { type: "subscribe" }>;
interface Joined { key?: string; keys?: string[]; presence: { member?: string; token?: string; state?: object; away?: boolean } }

/** The members of a server: their rows are of its router "presence". Who somebody is, his state tells: { as: "ada" }. */
export class Members {
  tokens = new Map<string, string>();

  constructor(private server: Server) {}

  /** Is there, if the message says so, and looks at who is. */
  joined(m: Subscribe): Subscribe | undefined {
    const { key, keys, presence, ...rest } = m as typeof m & Joined;
    const on = m.channel ?? key, { member, token } = presence;
    if (member) {
      if ((this.tokens.get(member) ?? token) !== token) return;
      this.tokens.set(member, token!);
      const { as = "u1" } = (presence.state ?? {}) as { as?: string };
      const row = this.server.table("presence").get(member)?.fields ?? { id: member, on, router: m.router, person: as, name: as.toUpperCase(), info: {}, since: `2026-11-22T10:00:${10 + (this.server.nextKey++ % 50)}Z`, lock: "", wants: false };
      const now = { ...row, state: presence.state, away: !!presence.away };
      if (JSON.stringify(now) !== JSON.stringify(this.server.table("presence").get(member)?.fields)) this.server.write(member, now, undefined, "presence");
    }
    delete rest.channel;
    return { ...rest, router: "presence", where: { on: { in: keys ?? [on!] } } };
  }

  /** Somebody is gone, or was thought to be. */
  gone(member: string): void {
    this.tokens.delete(member);
    if (this.server.table("presence").has(member)) this.server.write(member, undefined, undefined, "presence");
  }

  /** What a member does. */
  act(id: number, verb: string, { member, token, ...data }: { member: string; token: string; to?: string }): ServerMessage {
    const refuse = (status: number, code: string, more = {}): ServerMessage => ({ type: "error", id, problem: { status, code, detail: code, ...more } });
    const row = this.server.table("presence").get(member);
    const done = (data?: object): ServerMessage => ({ type: "result", id, cursor: this.server.cursor(), ...(data && { data }) });
    if (!row) return verb === "leave" ? done() : refuse(404, "not_found");
    if (this.tokens.get(member) !== token) return refuse(403, "forbidden");
    const holder = [...this.server.table("presence").values()].find(r => r.fields["on"] === row.fields["on"] && r.fields["lock"]);
    const put = (key: string, fields: Fields) => void this.server.write(key, fields, undefined, "presence");
    if (verb === "leave") this.gone(member);
    else if (verb === "set") put(member, data);
    else if (verb === "request") put(member, { wants: true });
    else if (verb === "unlock") put(member, { lock: "" });
    else if (verb === "lock" && holder && holder.key !== member) return refuse(409, "locked", { current: holder });
    else {
      const to = verb === "handover" ? data.to! : member, lock = "f" + this.server.nextKey++;
      if (holder) put(holder.key, { lock: "" });
      put(to, { lock, wants: false });
      return done({ lock });
    }
    return done();
  }
}
