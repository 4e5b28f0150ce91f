/** Options of `npm run chaos`, with their defaults. */
import { parseArgs } from "node:util";

export const transportNames = ["http", "sleep", "amqp", "amqp1", "jetstream", "kafka", "mqtt", "redis", "postgres", "nats"] as const;
export type TransportName = (typeof transportNames)[number];

export interface ChaosOptions {
  readonly seed: number;
  /** The run ends then, whether it has reached its numbers or not; what was sent is waited for after it. */
  readonly minutes: number;
  /** At least so many kills with -9. */
  readonly kills: number;
  /** At least so many acknowledged messages. */
  readonly messages: number;
  readonly only: readonly TransportName[];
  /** Keep journal and logs even when nothing is broken. */
  readonly keep: boolean;
  readonly json: boolean;
  /** Numbered messages of one key follow each other; so many keys on each lane. */
  readonly keys: number;
}

export const defaults: ChaosOptions = {
  seed: 0,
  minutes: 45,
  kills: 200,
  messages: 100_000,
  only: transportNames,
  keep: false,
  json: false,
  keys: 16,
};

export const usage = `npm run chaos [-- OPTION…]
  --seed N       the schedule of faults; printed when not given
  --kills N      at least so many kills with -9 (${defaults.kills})
  --messages N   at least so many acknowledged messages (${defaults.messages})
  --minutes M    stop then, even short of these numbers (${defaults.minutes})
  --only A,B     of ${transportNames.join(",")}
  --keep         keep journal and logs
  --json         the report as JSON on standard output
  --cluster      nodes and servers of a cluster instead, with --seed, --minutes (5)
  --standalone   a Linux executable that serves by itself instead, with --seed, --minutes (5)`;

function count(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} must be a number, not ${text}`);
  return value;
}

export function readOptions(argv: readonly string[]): ChaosOptions | "help" {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: { seed: text, minutes: text, kills: text, messages: text, only: text, keep: flag, json: flag, help: flag },
  });
  if (values.help) return "help";
  const only = values.only === undefined ? [...transportNames] : values.only.split(",");
  const unknown = only.find((name) => !(transportNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`--only: there is no transport ${unknown}; there are ${transportNames.join(", ")}`);
  return {
    ...defaults,
    seed: count(values.seed, "seed", Date.now() % 1_000_000),
    minutes: count(values.minutes, "minutes", defaults.minutes),
    kills: count(values.kills, "kills", defaults.kills),
    messages: count(values.messages, "messages", defaults.messages),
    only: only as TransportName[],
    keep: values.keep,
    json: values.json,
  };
}
