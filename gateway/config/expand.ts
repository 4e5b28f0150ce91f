/** Sources whose settings name files with more of them, such as a contract: the files are read together with mayfly.yaml. */
import type { Connectors } from "../contract/connectors.ts";
import { SettingError } from "../contract/source.ts";
import type { Path, Report } from "./problem.ts";

type Entries = readonly Record<string, unknown>[];

interface SourcesOfFlows {
  readonly flows: Readonly<
    Record<string, { readonly from: Entries; readonly signals: Readonly<Record<string, { readonly from: Entries }>> }>
  >;
}

/** A signal is answered once it is kept, whatever the source's `mode`. */
const signalsMode = { mode: "accept" };

/** Replaces the sources' configurations in place. Returns the files that were read, absolute, and those of faults as well. */
export function expandSources({ flows }: SourcesOfFlows, base: string, { sources }: Connectors, report: Report): readonly string[] {
  const files = new Set<string>();
  const shared = new Map<string, unknown>();
  const expandAll = (from: Entries, at: Path, more: object = {}): void => {
    for (const [index, entry] of from.entries())
      for (const { name, expand } of sources) {
        if (expand === undefined || !Object.hasOwn(entry, name)) continue;
        try {
          const expanded = expand({ ...(entry[name] as object), ...more } as never, base, shared);
          entry[name] = expanded.config;
          for (const file of expanded.files) files.add(file);
        } catch (error) {
          if (!(error instanceof SettingError)) throw error;
          for (const file of error.files) files.add(file);
          report(
            [...at, "from", index, name, ...(error.setting === undefined ? [] : [error.setting])],
            error.message,
            undefined,
            error.code,
          );
        }
      }
  };
  for (const [flow, { from, signals }] of Object.entries(flows)) {
    expandAll(from, ["flows", flow]);
    for (const [signal, own] of Object.entries(signals)) expandAll(own.from, ["flows", flow, "signals", signal], signalsMode);
  }
  return [...files];
}
