/** `history:` of mayfly.yaml and of a flow: its schema, and its meaning. */
import type { HistoryRules } from "../contract/config.ts";
import type { JsonSchema } from "../contract/connector.ts";
import { duration, share, size } from "../contract/units.ts";
import { historyLimits } from "../history/limits.ts";
import { historyFolder } from "../history/mod.ts";

/** Rules as they are written: what is missing comes from the section of all flows. */
export interface CheckedHistoryRules {
  readonly record?: HistoryRules["record"];
  readonly sample?: number;
  readonly bodies?: HistoryRules["bodies"];
  readonly redact?: { readonly headers?: readonly string[]; readonly paths?: readonly string[] };
}

export interface CheckedHistory extends CheckedHistoryRules {
  readonly enabled: boolean;
  readonly dir?: string;
  readonly keep: number;
  readonly size: number;
}

const choice = (description: string, values: readonly string[]): JsonSchema => ({ type: "string", enum: values, description });

const list = (description: string, pattern: string, message: string, item: string): JsonSchema => ({
  type: "array",
  description,
  maxItems: historyLimits.redactions,
  items: { type: "string", minLength: 1, pattern, patternErrorMessage: message, description: item },
});

const ruleProperties: Readonly<Record<string, JsonSchema>> = {
  record: choice("all: every message. failures: messages that failed, at least once. sample: a share of all messages.", [
    "all",
    "failures",
    "sample",
  ]),
  sample: share("Share of messages that `record: sample` records, chosen by their ids. Default: 10%."),
  bodies: choice(
    "all: bodies are recorded. headers: no bodies. none: neither bodies nor headers. Without bodies a message can't be replayed.",
    ["all", "headers", "none"],
  ),
  redact: {
    type: "object",
    description: "Replaced by [redacted] before anything is written.",
    additionalProperties: false,
    properties: {
      headers: list(
        'Names of headers, besides authorization, proxy-authorization, cookie and set-cookie; "!cookie" records cookies after all.',
        "^!?[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        "must be a header's name, or one with an exclamation mark before it",
        "A header's name.",
      ),
      paths: list(
        "JSON pointers into JSON bodies of messages, sends, calls, answers and replies, fields of logs and values of state: /card/number, /items/*/iban.",
        "^/",
        "must be a JSON pointer, which begins with a slash: /card/number",
        "A JSON pointer.",
      ),
    },
  },
};

export const flowHistorySchema: JsonSchema = {
  type: "object",
  description: "What is recorded of this flow's messages, where that differs from `history` of all flows.",
  additionalProperties: false,
  properties: ruleProperties,
};

export const historySchema: JsonSchema = {
  type: "object",
  description: "Recordings of finished messages, for `mayfly messages`, `trace`, `replay` and `backtest`. See docs/HISTORY.md.",
  default: {},
  additionalProperties: false,
  properties: {
    enabled: { type: "boolean", default: true, description: "false: nothing is recorded." },
    dir: { type: "string", minLength: 1, description: "Folder. Default: `history` beside the journal's folder." },
    keep: duration("Maximum age of a recording.", "7d"),
    size: size("Maximum size of the folder; the oldest recordings go first.", "1GiB"),
    ...ruleProperties,
  },
};

const defaultRules: HistoryRules = { record: "all", sample: 0.1, bodies: "all", redact: { headers: [], paths: [] } };

function merged(base: HistoryRules, rules: CheckedHistoryRules): HistoryRules {
  const { record = base.record, sample = base.sample, bodies = base.bodies, redact } = rules;
  const headers = [...base.redact.headers, ...(redact?.headers ?? [])];
  return { record, sample, bodies, redact: { headers, paths: [...base.redact.paths, ...(redact?.paths ?? [])] } };
}

/** A flow's rules: its own before those of all flows; what is hidden adds up. */
export function historyRules(all: CheckedHistory, own: CheckedHistoryRules | undefined): HistoryRules {
  const rules = merged(defaultRules, all);
  return own === undefined ? rules : merged(rules, own);
}

export interface HistoryPlace {
  readonly enabled: boolean;
  readonly dir: string;
  readonly keepMs: number;
  readonly sizeBytes: number;
}

export function historyPlace(
  { enabled, dir, keep, size: sizeBytes }: CheckedHistory,
  base: string,
  journalDir: string | undefined,
): HistoryPlace {
  return { enabled, dir: historyFolder(base, journalDir, dir), keepMs: keep, sizeBytes };
}
