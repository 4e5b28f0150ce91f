/** Sources and outlets whose settings name files with more of them, such as a contract: the files are read together with mayfly.yaml. */
import type { Connectors } from "../contract/connectors.ts";
import { type Expanded, SettingError } from "../contract/source.ts";
import type { Path, Report } from "./problem.ts";

type Entries = readonly Record<string, unknown>[];

interface ConnectorsOfFlows {
  readonly flows: Readonly<
    Record<
      string,
      {
        readonly from: Entries;
        readonly to: Readonly<Record<string, Record<string, unknown>>>;
        readonly signals: Readonly<Record<string, { readonly from: Entries }>>;
      }
    >
  >;
}

interface Expandable {
  readonly name: string;
  readonly expand?: (config: never, base: string, shared: Map<string, unknown>) => Expanded;
}

/** A signal is answered once it is kept, whatever the source's `mode`. */
const signalsMode = { mode: "accept" };

/** Replaces the connectors' configurations in place. Returns the files that were read, absolute, and those of faults as well. */
export function expandConnectors(
  { flows }: ConnectorsOfFlows,
  base: string,
  { sources, outlets }: Connectors,
  report: Report,
): readonly string[] {
  const files = new Set<string>();
  const shared = new Map<string, unknown>();
  const expandEntry = (entry: Record<string, unknown>, definitions: readonly Expandable[], at: Path, more: object = {}): void => {
    for (const { name, expand } of definitions) {
      if (expand === undefined || !Object.hasOwn(entry, name)) continue;
      try {
        const expanded = expand({ ...(entry[name] as object), ...more } as never, base, shared);
        entry[name] = expanded.config;
        for (const file of expanded.files) files.add(file);
      } catch (error) {
        if (!(error instanceof SettingError)) throw error;
        for (const file of error.files) files.add(file);
        report([...at, name, ...(error.setting === undefined ? [] : [error.setting])], error.message, undefined, error.code);
      }
    }
  };
  const expandAll = (from: Entries, at: Path, more?: object): void => {
    for (const [index, entry] of from.entries()) expandEntry(entry, sources, [...at, "from", index], more);
  };
  for (const [flow, { from, to, signals }] of Object.entries(flows)) {
    expandAll(from, ["flows", flow]);
    for (const [name, outlet] of Object.entries(to)) expandEntry(outlet, outlets, ["flows", flow, "to", name]);
    for (const [signal, own] of Object.entries(signals)) expandAll(own.from, ["flows", flow, "signals", signal], signalsMode);
  }
  return [...files];
}
