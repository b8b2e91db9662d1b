// The application under test: built once, started on a free port over a database of its own.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const examples = fileURLToPath(new URL("../../", import.meta.url));

/** Builds an example, such as "todo", into a new directory and returns both. */
export async function build(example) {
  const directory = await mkdtemp(join(tmpdir(), `live-${basename(example)}-`));
  const clean = () => rm(directory, { recursive: true, force: true });
  const binary = join(directory, basename(example));
  try {
    await promisify(execFile)("go", ["build", "-o", binary, `./${example}`], { cwd: examples });
  } catch (error) {
    await clean();
    throw error;
  }
  return { directory, binary, clean };
}

/** One running server. */
export class Server {
  /**
   * Starts the binary over a database, with a log that it shares when there is one, and with further flags; port 0 takes a free one. One without
   * a name has no database.
   */
  static async start({ binary, directory }, { name = "app", port = 0, broker, flags = [] } = {}) {
    const server = new Server();
    server.app = { binary, directory };
    server.name = name;
    server.broker = broker;
    server.flags = flags;
    server.log = "";
    const shared = broker ? ["-broker", broker] : [];
    const kept = name ? ["-db", join(directory, `${name}.db`)] : [];
    server.process = spawn(binary, ["-addr", `127.0.0.1:${port}`, ...kept, ...shared, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
    server.exit = once(server.process, "exit");
    server.process.stderr.on("data", (text) => (server.log += text));
    const said = once(createInterface(server.process.stdout), "line");
    const [line] = await Promise.race([said, server.exit.then(([code]) => {
      throw new Error(`the server ended with ${code}: ${server.log}`);
    })]);
    server.url = /http:\S+/.exec(line)[0];
    server.port = Number(new URL(server.url).port);
    return server;
  }

  /** Stops it the way a deployment does, and returns its exit code. */
  async stop() {
    this.process.kill("SIGTERM");
    const [code] = await this.exit;
    return code;
  }

  /** Stops it without a word. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.exit;
  }

  /** Starts it again, at the same place over the same database. */
  restart() {
    return Server.start(this.app, { name: this.name, port: this.port, broker: this.broker, flags: this.flags });
  }

  /** Sends a request of a program that is no browser. */
  async request(method, path, body, headers = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: { "Content-Type": "application/json", ...headers },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  }
}
