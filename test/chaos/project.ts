/** The project that is served: one flow for each lane, from one source that is rewritten at every upgrade. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lane } from "./transports/transport.ts";

/**
 * Counts, asks at times, and sends on. A seventh of the messages fail their first attempt. A sender that waits for the reply is its own
 * retry: there a failure would only be told to it, and kept as a dead letter besides.
 */
function flowSource(version: number, { waits }: Lane): string {
  const trouble = `
  if (msg.attempt === 1 && seq % 7 === 3) throw new Error("the first attempt fails");
  if (seq % 5 === 2) {
    const answer = await to.helper.request({ key, seq });
    if (!answer.ok || answer.json<Numbered>().seq !== seq) fail("the helper talks nonsense", { code: "NONSENSE" });
  }`;
  return `import { ${waits ? "" : "fail, "}flow } from "mayfly";

interface Numbered { lane: string; key: string; seq: number; pad: string }

export default flow<"out" | "sink" | "helper">(async (msg, { to, state }) => {
  const { lane, key, seq, pad } = msg.json<Numbered>();${waits ? "" : trouble}
  const count = (state.get<number>("count") ?? 0) + 1;
  state.set("count", count);
  const outlet = Number(key.slice(1)) % 2 === 0 ? to.out : to.sink;
  outlet.send({ lane, key, seq, count, version: ${version}, pad }, { key });
  return { count };
});
`;
}

export interface Peers {
  readonly gatewayPort: number;
  readonly sinkPort: number;
  /** Relative to the project's folder. */
  readonly journalDir: string;
}

export class Project {
  readonly dir: string;
  readonly #lanes: readonly Lane[];
  readonly #peers: Peers;
  version = 0;

  constructor(dir: string, lanes: readonly Lane[], peers: Peers) {
    this.dir = dir;
    this.#lanes = lanes;
    this.#peers = peers;
  }

  get file(): string {
    return join(this.dir, "mayfly.yaml");
  }

  /** Flows and configuration of the next version; each file is replaced as a whole, for a gateway may just be starting. */
  async upgrade(): Promise<void> {
    this.version += 1;
    await mkdir(join(this.dir, "flows"), { recursive: true });
    for (const lane of this.#lanes) {
      await this.#put(join("flows", `${lane.name}.ts`), lane.source?.(this.version) ?? flowSource(this.version, lane));
      for (const [name, { source }] of Object.entries(lane.besides ?? {})) await this.#put(join("flows", `${name}.ts`), source);
    }
    await this.#put("mayfly.yaml", JSON.stringify(this.#configuration(), undefined, 1)); // JSON is YAML
  }

  async #put(name: string, text: string): Promise<void> {
    const path = join(this.dir, name);
    await writeFile(`${path}.next`, text);
    await rename(`${path}.next`, path);
  }

  #configuration(): object {
    const { gatewayPort, sinkPort, journalDir } = this.#peers;
    const patient = { retry: { attempts: 1000, backoff: "50ms..1s", age: "12h" } };
    const url = `http://127.0.0.1:${sinkPort}`;
    const sink = { http: { url: `${url}/sink`, timeout: "2s" }, ...patient };
    const flows: Record<string, object> = {};
    for (const { name, from, out, config, besides } of this.#lanes) {
      for (const [other, { config: own }] of Object.entries(besides ?? {})) flows[other] = { flow: `flows/${other}.ts`, ...own };
      flows[name] = {
        flow: `flows/${name}.ts`,
        key: "json:/key",
        dedup: { window: "12h", count: 100_000 },
        from: [from],
        to: {
          out: out === undefined ? sink : { ...out, timeout: "3s", ...patient },
          sink,
          helper: { http: { url: `${url}/helper`, timeout: "1s" }, retry: { attempts: 2, backoff: "20ms..100ms" } },
        },
        // The configuration changes with each version as well, not only the flow.
        concurrency: 32 + (this.version % 8),
        ...patient,
        ...config,
      };
    }
    return {
      flows,
      http: { port: gatewayPort },
      journal: { dir: journalDir },
      deadLetters: { dir: "dead-letters" },
      workers: 1,
      drain: "5s",
      log: { level: "info", format: "json" },
    };
  }
}
