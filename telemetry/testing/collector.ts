/** A collector that decodes what it gets with OpenTelemetry's own protocol definitions, or behaves badly. */
import { createRequire } from "node:module";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface KeyValue {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: string;
    readonly doubleValue?: number;
    readonly boolValue?: boolean;
  };
}

/** Ids are hexadecimal digits, times nanoseconds as text. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: { readonly code?: string; readonly message?: string };
  readonly links: readonly { readonly spanId: string }[];
}

export interface Line {
  readonly severityText: string;
  readonly text: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly {
    readonly attributes: Readonly<Record<string, unknown>>;
    readonly value: number;
    readonly buckets: readonly number[];
  }[];
}

type Json = Readonly<Record<string, unknown>>;

const inside = (json: Json, name: string): Json => (json[name] ?? {}) as Json;
const list = (json: Json, ...names: readonly string[]): readonly Json[] =>
  (names.map((name) => json[name]).find((each) => each !== undefined) ?? []) as Json[];
const text = (json: Json, name: string): string => String(json[name] ?? "");
const pairs = (json: Json): readonly KeyValue[] => (json["attributes"] ?? []) as KeyValue[];
interface Message {
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): Json;
}
const definitions = createRequire(import.meta.url)("opentelemetry-definitions/build/src/generated/root.js") as {
  opentelemetry: { proto: { collector: Record<string, { v1: Record<string, Message> }> } };
};

function decoded(signal: string, bytes: Uint8Array): Json {
  const name = `Export${signal[0]?.toUpperCase() ?? ""}${signal.slice(1)}ServiceRequest`;
  // The collector's definitions call traces "trace".
  const type = definitions.opentelemetry.proto.collector[signal === "traces" ? "trace" : signal]?.v1[
    name.replace("Traces", "Trace")
  ] as Message;
  return type.toObject(type.decode(bytes), { longs: String, enums: String, bytes: String, defaults: true, arrays: true });
}

const hex = (base64: string): string => Buffer.from(base64, "base64").toString("hex");

function attributesOf(given: readonly KeyValue[]): Record<string, unknown> {
  const valueOf = ({ value }: KeyValue): unknown =>
    value.stringValue ||
    (value.boolValue === true
      ? true
      : value.doubleValue !== undefined && value.doubleValue !== 0
        ? value.doubleValue
        : Number(value.intValue ?? 0));
  return Object.fromEntries(given.map((each) => [each.key, valueOf(each)]));
}

export type Mood = "well" | "silent" | "refuses" | "lies" | "floods";

export class Collector {
  readonly spans: Span[] = [];
  readonly lines: Line[] = [];
  readonly metrics = new Map<string, Metric>();
  readonly headers: IncomingMessage["headers"][] = [];
  resource: Record<string, unknown> = {};
  mood: Mood = "well";
  asked = 0;
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  private constructor() {
    this.#server = createServer((request, response) => this.#take(request, response));
  }

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await new Promise<void>((done) => collector.#server.listen(0, "127.0.0.1", done));
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  /** Resolves once `condition` gives something; asked again whenever something has come. */
  async until<T>(condition: () => T | undefined): Promise<T> {
    for (;;) {
      const found = condition();
      if (found !== undefined) return found;
      await new Promise<void>((done) => this.#waiting.add(done));
    }
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      this.asked += 1;
      const signal = (request.url ?? "").split("/").at(-1) ?? "";
      if (this.mood === "well") {
        this.headers.push(request.headers);
        this.#keep(signal, decoded(signal, Buffer.concat(pieces)));
        response.writeHead(200, { "content-type": "application/x-protobuf" });
        response.end();
      } else if (this.mood === "refuses") {
        response.writeHead(400);
        response.end("no");
      } else if (this.mood === "lies") {
        response.writeHead(200, { "content-type": "application/x-protobuf" });
        response.end(Buffer.from("ffffffffffff", "hex"));
      } else if (this.mood === "floods") {
        response.writeHead(200);
        const flood = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        };
        response.on("drain", flood);
        response.on("error", () => undefined);
        flood();
      }
      for (const done of this.#waiting) done();
      this.#waiting.clear();
    });
  }

  #keep(signal: string, request: Json): void {
    for (const each of list(request, "resourceSpans", "resourceLogs", "resourceMetrics")) {
      this.resource = attributesOf(pairs(inside(each, "resource")));
      for (const scope of list(each, "scopeSpans", "scopeLogs", "scopeMetrics")) {
        for (const span of list(scope, "spans")) this.#span(span);
        for (const line of list(scope, "logRecords")) this.#line(line);
        if (signal === "metrics") for (const metric of list(scope, "metrics")) this.#metric(metric);
      }
    }
  }

  #span(span: Json): void {
    this.spans.push({
      ...(span as unknown as Span),
      traceId: hex(text(span, "traceId")),
      spanId: hex(text(span, "spanId")),
      parentSpanId: hex(text(span, "parentSpanId")),
      attributes: attributesOf(pairs(span)),
      links: list(span, "links").map((link) => ({ spanId: hex(text(link, "spanId")) })),
    });
  }

  #line(line: Json): void {
    this.lines.push({
      severityText: text(line, "severityText"),
      text: text(inside(line, "body"), "stringValue"),
      traceId: hex(text(line, "traceId")),
      spanId: hex(text(line, "spanId")),
      attributes: attributesOf(pairs(line)),
    });
  }

  #metric(metric: Json): void {
    const histogram = metric["histogram"] !== undefined && metric["histogram"] !== null;
    const data = (metric["sum"] ?? metric["gauge"] ?? metric["histogram"]) as Json;
    const points = list(data, "dataPoints").map((point) => ({
      attributes: attributesOf(pairs(point)),
      value: histogram ? Number(point["count"]) : Number(point["asDouble"] ?? 0) || Number(point["asInt"] ?? 0),
      buckets: histogram ? list(point, "bucketCounts").map(Number) : [],
    }));
    this.metrics.set(text(metric, "name"), { name: text(metric, "name"), unit: text(metric, "unit"), points });
  }
}
