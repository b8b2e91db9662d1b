// presence.mjs: who is here, and who is editing. It belongs to live.mjs of the same version, and is of use only beside it.

import { editing as edit } from "./editing.ts";
import { doing as does, editors as define } from "./element.ts";
import { presence as make } from "./presence.ts";
import type { doing as Does, editing as Edit, editors as Define, presence as Make } from "./types.ts";

export type * from "./types.ts";

export const presence = make as typeof Make;

export const editing = edit as typeof Edit;

export const editors = define as typeof Define;

export const doing = does as typeof Does;
