// The entry of the classic script: it adds to the global Live, which live.js left.

import { doing, editing, editors, presence } from "./index.ts";

(globalThis as { Live?: object }).Live = { ...(globalThis as { Live?: object }).Live, doing, editing, editors, presence };
