// The entry of the classic script: it leaves one global, Live.

import { LiveError, connect, keyOf } from "./index.ts";

(globalThis as { Live?: object }).Live = { LiveError, connect, keyOf };
