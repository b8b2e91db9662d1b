// POST: how everything but a WebSocket asks.

import { LiveError } from "./error.ts";
import type { Options, Problem } from "./types.ts";
import { lines, type ClientMessage } from "./wire.ts";

export const NDJSON = "application/x-ndjson", EVENTS = "text/event-stream";

export class Http {
  _href: string;
  /** The hub's, whatever the application asks it for. */
  _place: string;
  private _options: Options;

  constructor(url: string, options: Options) {
    const hub = new URL(url, globalThis.location?.href);
    this._place = hub.origin + hub.pathname;
    hub.searchParams.set("protocol", "1");
    this._href = hub.href;
    this._options = options;
  }

  /** Resolves with an answer of the type that was asked for, and rejects with a LiveError or with whatever fetch does. */
  async _post(messages: ClientMessage[], accept: string, signal: AbortSignal, wait = 0): Promise<Response> {
    const { headers, credentials = "same-origin", fetch = globalThis.fetch } = this._options;
    const url = new URL(this._href);
    if (wait) url.searchParams.set("wait", String(wait));
    const response = await fetch(url.href, {
      method: "POST",
      body: lines(messages),
      headers: { ...(typeof headers === "function" ? headers() : headers), "Content-Type": NDJSON, Accept: accept },
      credentials,
      cache: "no-store",
      signal,
    });
    const { status } = response;
    if (!response.ok) {
      const problem = (await response.json().catch(() => ({}))) as Problem;
      throw new LiveError({ title: response.statusText, retry_after: response.headers.get("Retry-After") as never, ...problem, status });
    }
    if (!response.headers.get("Content-Type")?.startsWith(accept)) {
      throw new LiveError({ code: "not_live", status, detail: "not an answer of live" });
    }
    return response;
  }
}
