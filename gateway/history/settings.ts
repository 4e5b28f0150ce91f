/** Settings of history: those of the folder, and the rules of each flow. */
import type { HistoryRules } from "../contract/config.ts";

export interface FolderSettings {
  readonly keepMs: number;
  readonly sizeBytes: number;
}

/** Headers whose text is never written unless `redact.headers` names them with an exclamation mark. */
export const secretHeaders = ["authorization", "proxy-authorization", "cookie", "set-cookie"] as const;
/** Secrets of a flow: never written. */
export const valuePrefix = "mayfly-value-";

/** The names a flow's rules hide, lower case. */
export function hiddenHeaders({ redact }: HistoryRules): string[] {
  const shown = new Set(redact.headers.filter((name) => name.startsWith("!")).map((name) => name.slice(1).toLowerCase()));
  const named = redact.headers.filter((name) => !name.startsWith("!")).map((name) => name.toLowerCase());
  return [...new Set([...secretHeaders.filter((name) => !shown.has(name)), ...named])];
}
