/** Records that go to the exporter's thread: plain data, as small as they can be. */

export type Attribute = string | number | boolean;
export type Attributes = Readonly<Record<string, Attribute>>;

/** Kinds of OpenTelemetry's `SpanKind`. */
export const spanKinds = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const;

export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  /** True for a parent of another service. */
  readonly remote: boolean;
  readonly name: string;
  readonly kind: (typeof spanKinds)[keyof typeof spanKinds];
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** Of a span that failed. */
  readonly error: string | undefined;
  /** Spans of the same trace that this one goes on from. */
  readonly links: readonly string[];
}

export interface LogRecord {
  readonly timeMs: number;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  /** JSON of the line's fields. */
  readonly fields: string;
}

/** One family of metrics, as prom-client gives it. */
export interface MetricRecord {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number>>;
    readonly metricName?: string | undefined;
  }[];
}

export interface Scrape {
  readonly timeMs: number;
  readonly families: readonly MetricRecord[];
}

export interface Items {
  readonly traces: SpanRecord;
  readonly logs: LogRecord;
  readonly metrics: Scrape;
}

export type Signal = keyof Items;
export const signals = ["traces", "logs", "metrics"] as const;

/** To the thread. `end`: nothing follows, it ends once all is exported. */
export type ToThread =
  | { readonly kind: "batch"; readonly signal: Signal; readonly items: readonly Items[Signal][] }
  | { readonly kind: "end" };

/** From the thread: `items` of a batch are gone. `error`: the reason why they were not taken. */
export interface FromThread {
  readonly signal: Signal;
  readonly items: number;
  readonly error: string | undefined;
}

/** For the thread's start. */
export interface ThreadSettings {
  readonly endpoint: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly service: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  readonly version: string;
  readonly instance: string;
  readonly startedMs: number;
}
