// What the main threads of a browser's pages do, task by task, as the browser itself records it.

import { once } from "node:events";

export class Trace {
  static async start(browser) {
    const trace = new Trace();
    trace.events = [];
    trace.session = await browser.newBrowserCDPSession();
    trace.session.on("Tracing.dataCollected", ({ value }) => trace.events.push(...value));
    await trace.session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel"] } });
    return trace;
  }

  /**
   * Ends it, and returns how many milliseconds each task of a page's main thread took of the processor: on a machine that has other things to do, a
   * task may last long and do nothing. What the browser counts for a thread comes in large pieces now and then, so no task took longer than it lasted.
   */
  async stop() {
    const complete = once(this.session, "Tracing.tracingComplete");
    await this.session.send("Tracing.end");
    await complete;
    const thread = ({ pid, tid }) => `${pid} ${tid}`;
    const pages = new Set(this.events.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map(thread));
    const tasks = this.events.filter((e) => e.ph === "X" && e.name.endsWith("RunTask") && pages.has(thread(e)));
    return tasks.map(({ dur, tdur }) => Math.min(dur, tdur ?? dur) / 1000);
  }
}
