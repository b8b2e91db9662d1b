// The message forms of testdata/protocol, and scripts that say them to the letter.

import { readFileSync, readdirSync } from "node:fs";
import { presence } from "../src/presence/index.ts";
import { settle } from "./clock.ts";
import { Script } from "./script.ts";

const folder = "../testdata/protocol/";
export const file = (name: string) => readFileSync(`${folder}${name}.json`, "utf8").trim();
export const names = (side: string) => readdirSync(folder).filter(f => f.startsWith(side)).map(f => f.replace(".json", "")).sort();

export const options = { where: { list_id: 7, done: false }, order: "-created_at" };
export const milk = { id: 42, list_id: 7, title: "milk", done: false };

export const tab = { member: "5f2a1c0e-7c1f-4a53-9a55-0b1f0d7a8f11", token: "kT3u0gq1n2XwzP7VhJ4y5s8c" };

/** A script whose next message id, and mutation, are the ones given. */
export function at(id: number, mutation = ""): Script {
  const s = new Script();
  s.clock.env.uuid = () => mutation;
  const live = s.live as unknown as { _nextID(): number; _env: { uuid(): string } };
  live._env.uuid = () => mutation;
  for (let i = 1; i < id; i++) live._nextID();
  return s;
}

export const uuid = (digit: string) => `01890a5d-ac96-774b-bcce-b302099a805${digit}`;

/** Rows with versions, for calls that send one: from a list that takes no id of those that matter. */
export async function holding(s: Script, ...rows: [string, number, object][]): Promise<void> {
  s.live.list("todos").subscribe(() => {});
  await s.hello();
  await s.snapshot("e.1", ...rows);
}

/** A script whose next message id is the one given, whose ids are 805d, 805e and so on, and whose secrets have no chance in them. */
export function secretly(id: number): Script {
  const s = at(id);
  let n = 0xd;
  (s.live as unknown as { _env: { uuid(): string } })._env.uuid = () => uuid((n++).toString(16));
  globalThis.crypto.getRandomValues = array => array;
  return s;
}

/** The member of the examples, who is on a channel, and says something else. */
export async function member(id: number, say: (here: ReturnType<typeof presence>) => void): Promise<Script> {
  const s = secretly(id - 1);
  const here = presence(s.live, { channel: "chat:7" }, { state: { state: "typing" } });
  await s.hello();
  await s.say({ type: "snapshot", id: id - 1, query: "k9", cursor: "4fk2m9qa.2sy", rows: [] });
  say(here);
  await settle(4);
  return s;
}

/** What the last subscription asks for at the next connection. */
export async function asked(s: Script) {
  s.socket.drop();
  await s.clock.advance(1000);
  await s.hello();
  return s.last("subscribe");
}
