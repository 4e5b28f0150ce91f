/** Records that go to the exporter's thread: plain data, as small as they can be. The thread makes spans of facts. */

export type Attribute = string | number | boolean;
/** Undefined and empty ones are left out by the thread, and long texts cut. */
export type Attributes = Readonly<Record<string, Attribute | undefined>>;

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

export interface FailureFact {
  readonly code: string;
  readonly message: string;
}

export interface MessageFact {
  readonly flow: string;
  readonly id: string;
  readonly source: string;
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  /** Of an HTTP request. */
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly bodyBytes: number;
  readonly correlationId: string | undefined;
  readonly receivedMs: number;
}

export interface CallFact {
  /** Of its span's id. */
  readonly cause: string;
  readonly operation: "request" | "fetch" | "state";
  readonly target: string;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly code: string | undefined;
  readonly status: number;
}

export interface AttemptFact {
  readonly attempt: number;
  readonly image: string;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly steps: number;
  readonly cpuMs: number;
  readonly calls: readonly CallFact[];
  readonly failure: FailureFact | undefined;
}

/** `endedMs`, `route`, `httpStatus` and what follows: of the message's end. */
export interface EndFact {
  readonly status: "done" | "failed" | "dead";
  readonly endedMs: number;
  readonly attempts: number;
  readonly failure: FailureFact | undefined;
  readonly letter: string | undefined;
  readonly route: string | undefined;
  readonly httpStatus: number | undefined;
}

export interface DeliveryFact {
  readonly flow: string;
  readonly outlet: string;
  readonly connector: string;
  readonly idempotencyKey: string;
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly attempt: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly status: "sent" | "retry" | "waiting" | "dead";
  readonly failure: FailureFact | undefined;
  readonly httpStatus: number | undefined;
  readonly letter: string | undefined;
}

/** An attempt after which a message is tried again has no `end`, a message that was not begun no `attempt`. */
export type Fact =
  | {
      readonly kind: "message";
      readonly message: MessageFact;
      readonly attempt: AttemptFact | undefined;
      readonly end: EndFact | undefined;
    }
  | { readonly kind: "delivery"; readonly delivery: DeliveryFact };

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
  readonly traces: Fact;
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
