/** History: recordings of finished messages, written beside the path of a message and read by anyone who may read the folder. */
import { resolve, dirname, join } from "node:path";
import { type Clock, systemClock } from "#base";
import type { GatewayConfig } from "../contract/config.ts";
import type { Logger } from "../contract/connector.ts";
import type { HistoryReader } from "./history.ts";
import { FolderReader } from "./reader.ts";
import { type History, HistoryStore } from "./store.ts";

export { Redactor } from "./redact.ts";
export { type History, type HistoryStats } from "./store.ts";

/** Reads a folder of history. There need not be one: then nothing was recorded. */
export function openHistory(folder: string): HistoryReader {
  return new FolderReader(folder);
}

/** Where the history of a configuration is, absolute: beside the journal's folder, or in .mayfly beside mayfly.yaml. */
export function historyFolder(base: string, journalDir: string | undefined, dir: string | undefined): string {
  if (dir !== undefined) return resolve(base, dir);
  return journalDir === undefined ? resolve(base, ".mayfly", "history") : join(dirname(resolve(base, journalDir)), "history");
}

/** The history mayfly.yaml asks for; undefined when it is off. Starts its thread. */
export function configuredHistory(config: GatewayConfig, logger: Logger, clock: Clock = systemClock): History | undefined {
  const { enabled, dir, keepMs, sizeBytes } = config.history;
  if (!enabled) return undefined;
  return new HistoryStore({ folder: dir, keepMs, sizeBytes, flows: config.flows, clock, logger });
}
