/** Answers of the gateway's admin endpoints, as far as the page reads them. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface Rates {
  readonly received: number;
  readonly done: number;
  readonly failed: number;
}

export type Cell = number | null;

/** Columns of a chart, oldest first. */
export interface Past {
  readonly stepMs: number;
  readonly endMs: number;
  readonly received: readonly Cell[];
  readonly done: readonly Cell[];
  readonly failed: readonly Cell[];
  readonly pending: readonly Cell[];
  readonly outbox: readonly Cell[];
  readonly p50: readonly Cell[];
  readonly p95: readonly Cell[];
  readonly p99: readonly Cell[];
}

export type Column = "received" | "done" | "failed" | "pending" | "outbox" | "p50" | "p95" | "p99";

export interface Problem {
  readonly flow: string | null;
  readonly connector: string | null;
  readonly detail: string;
  readonly since: number;
}

export interface FlowRow {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  /** `running`, `paused`, `draining`, where the gateway says so. */
  readonly state?: string;
  /** A new image that gets a share of the keys, beside the current one. */
  readonly canary?: { readonly share: number; readonly sides: readonly CanarySide[] } | null;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly pending: number;
  readonly running: number;
  readonly outbox: number;
  readonly holds: number;
  readonly sleepers?: number;
  readonly received: number;
  readonly done: number;
  readonly failed: number;
  readonly dead: number;
  readonly retries: number;
  readonly perSecond: number;
  readonly failingPerSecond: number;
  readonly latency: Percentiles | null;
}

export interface CanarySide {
  readonly side: string;
  readonly image: string;
  readonly done: number;
  readonly failed: number;
  readonly averageMs: number | null;
}

export interface Overview {
  readonly state: string;
  readonly since: number;
  readonly now: number;
  readonly rates: Rates;
  readonly latency: Percentiles | null;
  readonly queue: { readonly pending: number; readonly running: number; readonly outbox: number };
  /** Absent from a gateway of an earlier version. */
  readonly sleepers?: number;
  readonly deadLetters: number;
  readonly journal: { readonly durable: boolean; readonly pending: number; readonly diskBytes: number; readonly trouble: string | null };
  readonly memory: { readonly takenBytes: number; readonly mostBytes: number };
  readonly monitor: { readonly running: number; readonly waiting: number; readonly workers: number; readonly replaced: number };
  readonly problems: readonly Problem[];
  readonly flowCount: number;
  readonly flows: readonly FlowRow[];
  readonly last: Readonly<Record<Column, Cell>>;
  readonly past?: Past;
}

export interface Limit {
  readonly name: string;
  readonly unit: "messages" | "machines" | "ms" | "bytes";
  readonly used: number | null;
  readonly most: number;
}

export interface FailureCount {
  readonly code: string;
  readonly count: number;
  /** `attempt`, `refused`, or an outlet's name. */
  readonly at: string;
}

export interface FlowDetail extends FlowRow {
  readonly file: string | null;
  readonly limits: readonly Limit[];
  readonly failures: readonly FailureCount[];
  readonly connectors: readonly Connector[];
  readonly problems: readonly Problem[];
  readonly past: Past | null;
}

export interface Connector {
  readonly flow: string;
  readonly name: string;
  readonly direction: "from" | "to";
  readonly connector: string;
  readonly place: string;
  readonly ready: boolean;
  readonly detail: string;
  readonly lastError: { readonly message: string; readonly at: number } | null;
  readonly circuit: {
    readonly state: "open" | "half-open" | "closed";
    readonly openMs: number;
    readonly failuresInARow: number;
    readonly failures: number;
  } | null;
  readonly reconnects: number;
  readonly count: number;
  readonly perSecond: number;
  readonly waiting: number;
  readonly paused: boolean;
}

export interface MapNode {
  readonly id: string;
  readonly kind: "source" | "flow" | "outlet";
  readonly label: string;
  readonly flow?: string;
  readonly ready: boolean;
  readonly detail: string;
}

export interface MapEdge {
  readonly from: string;
  readonly to: string;
  readonly perSecond: number;
  readonly failing: boolean;
}

export interface Graph {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
}

export interface ShownError {
  readonly code: string;
  readonly message: string;
  readonly stack?: string | undefined;
}

export type Status = "done" | "failed" | "dead";

export interface Summary {
  readonly id: string;
  readonly flow: string;
  readonly status: Status;
  readonly receivedAt: number;
  readonly durationMs: number;
  readonly attempts: number;
  readonly source: string;
  readonly key: string | null;
  readonly correlationId: string | null;
  readonly image: string | null;
  readonly error: ShownError | null;
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;
export type Body = { readonly text: string } | { readonly base64: string } | { readonly omitted: number };

export interface Call {
  readonly call: number;
  readonly operation: string;
  readonly target: string;
  readonly method: string;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Body;
  readonly askedAt: number;
  readonly answeredAt: number | null;
  readonly answer: { readonly status: number; readonly headers: Headers; readonly body: Body } | null;
  readonly error: ShownError | null;
}

export interface Step {
  readonly event: string;
  readonly at: number;
  readonly status: string | null;
  readonly cpuMs: number;
  readonly pages: number;
}

export interface Log {
  readonly level: string;
  readonly text: string;
  /** A JSON object, or nothing. */
  readonly fieldsJson?: string | undefined;
}

export interface Send {
  readonly outlet: string;
  readonly key: string | null;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Body;
  readonly committedAt: number;
  readonly dueAt: number | null;
}

export interface Wait {
  readonly name: string;
  readonly key: string;
  readonly at: number;
  readonly until: number | null;
  readonly endedAt: number | null;
  readonly signal: { readonly id: string; readonly headers: Headers; readonly body: Body } | null;
  readonly question: unknown;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Attempt {
  readonly attempt: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly image: string;
  readonly seed: string;
  readonly steps: readonly Step[];
  readonly calls: readonly Call[];
  readonly waits: readonly Wait[];
  readonly logs: readonly Log[];
  readonly sends: readonly Send[];
  readonly state: Readonly<Record<string, unknown>>;
  readonly reply: Reply | null;
  readonly continues: { readonly contentType: string; readonly headers: Headers; readonly body: Body } | null;
  readonly error: ShownError | null;
}

export interface Delivery {
  readonly outlet: string;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly at: number;
  readonly durationMs: number;
  readonly status: "sent" | "retry" | "waiting" | "dead";
  readonly error: ShownError | null;
  readonly deadLetter: string | null;
}

export interface Relative {
  readonly flow: string;
  readonly id: string;
  readonly how: string;
}

export interface Detail extends Omit<Summary, "attempts"> {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Body;
  readonly state: Readonly<Record<string, unknown>> | null;
  readonly deadLetter: string | null;
  readonly redacted: { readonly headers: readonly string[]; readonly paths: readonly string[]; readonly bodies: string } | null;
  readonly attempts: readonly Attempt[];
  readonly outlets: readonly Delivery[];
  readonly parents: readonly Relative[];
  readonly children: readonly Relative[];
}

export interface LetterRow {
  readonly id: string;
  readonly kind: "message" | "send" | "signal";
  readonly flow: string;
  readonly outlet: string | null;
  readonly messageId: string;
  readonly code: string;
  readonly message: string;
  readonly key: string | null;
  readonly contentType: string;
  readonly bytes: number;
  readonly attempts: number;
  readonly receivedAt: number;
  readonly diedAt: number;
  readonly holds: boolean;
}

export interface LetterGroup {
  readonly flow: string;
  readonly kind: "message" | "send" | "signal";
  readonly outlet: string | null;
  readonly code: string;
  readonly message: string;
  readonly count: number;
  readonly bytes: number;
  readonly oldest: number;
  readonly newest: number;
  readonly holds: number;
}

export interface Letter {
  readonly id: string;
  readonly kind: "message" | "send" | "signal";
  readonly flow: string;
  readonly outlet?: string;
  readonly messageId: string;
  readonly source: string;
  readonly headers: Headers;
  readonly contentType: string;
  readonly key?: string;
  readonly receivedMs: number;
  readonly buriedMs: number;
  readonly bodyBytes: number;
  readonly failure: ShownError;
  readonly attempts: readonly {
    readonly attempt: number;
    readonly startedMs: number;
    readonly endedMs: number;
    readonly failure: ShownError;
    readonly logs: readonly Log[];
  }[];
  readonly holds?: boolean;
  /** Of a message whose machine had slept. */
  readonly asleep?: unknown;
  readonly body: Body;
}

export interface Replayed {
  readonly identical: boolean;
  readonly differences: readonly unknown[];
  readonly image: string;
  readonly monitor: string;
}

export interface Question {
  readonly question: string;
  readonly options: readonly string[];
  readonly to?: string;
}

/** Times of sleepers are texts (ISO 8601). */
export interface SleeperWait {
  readonly wait: number;
  readonly name: string;
  readonly key: string;
  readonly until: string | null;
  readonly question: Question | null;
}

export interface SleeperRow {
  readonly id: string;
  readonly flow: string;
  readonly key: string | null;
  readonly image: string;
  readonly received: string;
  readonly since: string;
  readonly until: string;
  readonly waits: readonly SleeperWait[];
  readonly sleeps: readonly string[];
  readonly transactions: number;
  readonly state: "asleep" | "awake" | "retrying" | "stuck";
  readonly problem: string | null;
}

export interface SleeperDetail extends SleeperRow {
  readonly source: string;
  readonly message: {
    readonly headers: Headers;
    readonly contentType: string;
    readonly body: Body;
    readonly state?: Detail["state"];
  } | null;
  /** All it did so far, as one attempt. */
  readonly timeline: Attempt | null;
  readonly logs: readonly Log[];
  readonly redacted?: Detail["redacted"];
}

export interface ShownBytes {
  readonly text?: string;
  readonly base64?: string;
  readonly bytes: number;
  readonly cut?: true;
}

export type PreviewEnd =
  | { readonly kind: "done"; readonly continues: ShownBytes | null }
  | {
      readonly kind: "asks";
      readonly calls: readonly {
        readonly operation: string;
        readonly target: string;
        readonly method: string;
        readonly body: ShownBytes;
      }[];
    }
  | {
      readonly kind: "asleep";
      readonly waits: readonly { readonly name: string; readonly key: string; readonly until: number | null }[];
      readonly sleeps: readonly number[];
    }
  | { readonly kind: "failed" | "unknown"; readonly code: string; readonly message: string };

/** A machine's next transaction, if a signal came. */
export interface Preview {
  readonly sends: readonly {
    readonly outlet: string;
    readonly key: string | null;
    readonly contentType: string;
    readonly headers: Headers;
    readonly body: ShownBytes;
    readonly due: number | null;
  }[];
  readonly state: readonly { readonly name: string; readonly value?: ShownBytes }[];
  readonly logs: readonly Log[];
  readonly end: PreviewEnd;
  readonly more: number;
}

export interface Options {
  readonly options: readonly { readonly option: string; readonly preview: Preview }[];
  readonly unanswered: Preview | null;
}
