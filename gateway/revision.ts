/** The configuration that a gateway serves as one text, to be compared with other nodes' as a hash. It has secrets in it: never show it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { GatewayConfig } from "./contract/config.ts";
import type { Flow } from "./contract/runner.ts";

/** Contents of the files of contracts, by a hash: they count as the configuration does. */
export function contractsOf({ contractFiles, base }: Pick<GatewayConfig, "contractFiles" | "base">): string {
  const hash = createHash("sha256");
  for (const file of [...contractFiles].sort()) {
    hash.update(`${below(base, file)}\0`);
    try {
      hash.update(createHash("sha256").update(readFileSync(file)).digest());
    } catch {
      hash.update("missing");
    }
  }
  return hash.digest("hex");
}

/**
 * `flows`: those that are served with the configuration. The same text at each node that serves the same, whatever its name, folder,
 * ports, certificates, log and share of its computer are.
 */
export function revisionText(config: GatewayConfig, flows: Iterable<Flow>, contracts: string): string {
  const { base, secretFiles, contractFiles, log, memory, workers, monitor, telemetry, build, deadLetters, ...shared } = config;
  const { host, port, tls, admin, ...http } = config.http;
  const { dir: historyDir, ...history } = config.history;
  const { dir: journalDir, ...journal } = config.journal;
  const cluster = config.cluster === undefined ? undefined : { name: config.cluster.name, partitions: config.cluster.partitions };
  const images = Object.fromEntries([...flows].map(({ name, image, canary }) => [name, [image.sha256, canary?.flow.image.sha256]]));
  return JSON.stringify({ ...shared, http, history, journal, cluster, images, contracts }, (_, value: unknown) => stable(value, base));
}

function stable(value: unknown, base: string): unknown {
  if (typeof value === "string") return below(base, value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A path below the folder of mayfly.yaml from there on: nodes may have it in different places. */
function below(base: string, text: string): string {
  return text.startsWith(`${base}/`) ? `.${text.slice(base.length)}` : text;
}
