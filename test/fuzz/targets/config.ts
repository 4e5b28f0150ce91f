/** mayfly.yaml: whatever it holds, it is read or refused with places. */
import { isCoded } from "#base";
import { readConfig } from "#gateway";
import { connectors } from "#connectors";
import type { Target } from "../target.ts";

const seed = `flows:
  orders:
    flow: flows/orders.ts
    from:
      - http: { method: POST, path: /orders/:id, auth: { bearer: "\${TOKEN:-t}" } }
      - amqp: { url: amqp://localhost, queue: q }
      - cron: { schedule: "0 6 * * *" }
    to:
      erp: { http: { url: "http://localhost:1/x", timeout: 5s }, retry: { attempts: 3, backoff: 1s..5s }, rate: 5/s }
      audit: { file: { dir: ./audit, name: "{date}.jsonl", append: true } }
    key: json:/customer/id
    dedup: { by: header:x-id, window: 1h }
    limits: { memory: 32MiB, cpu: 1s }
    values: { token: "\${T:-x}" }
http: { port: 8080, host: 127.0.0.1 }
journal: { dir: ./j }
log: { level: info }
`;

export async function openConfig(): Promise<Target> {
  const options = { ...connectors, environment: { T: "secret" } };
  return {
    name: "config",
    seeds: [new TextEncoder().encode(seed)],
    words: [
      "&a",
      "*a",
      "<<: *a",
      "!!binary",
      "${",
      "$${",
      "${T}",
      "- ",
      ": ",
      "? ",
      "|\n",
      "%YAML 1.1\n",
      "__proto__: 1",
      "constructor",
      "1e999",
      "~",
      "'",
      '"',
      "\t",
    ],
    run: (input) => {
      try {
        const { flows } = readConfig(new TextDecoder().decode(input), "mayfly.yaml", options);
        return { signature: `read: ${Object.keys(flows).length}` };
      } catch (error) {
        if (!isCoded(error)) throw error;
        return {
          signature: error.message
            .replace(/^\S+ /, "")
            .replace(/\d+|"[^"]*"/g, "n")
            .slice(0, 80),
        };
      }
    },
  };
}
