/** The configuration as it is after reading: environment expanded, checked, units parsed (milliseconds, bytes), defaults filled in. */

import type { ProxiesConfig } from "./http/addresses.ts";

/** An inclusive range of milliseconds, from `200ms..30s`. */
export interface DurationRange {
  readonly least: number;
  readonly most: number;
}

export interface RetryConfig {
  /** Attempts in all, the first included. */
  readonly attempts: number;
  readonly backoff: DurationRange;
  /** Maximum age for a retry, in milliseconds. */
  readonly age: number;
}

/** Handling of messages behind a dead letter of their key. */
export type OnDead = "continue" | "hold";

export interface FlowRetryConfig extends RetryConfig {
  /** True: errors of the flow's program, such as a TypeError, are tried again as well. */
  readonly programErrors: boolean;
}

export interface LimitsConfig {
  readonly memory?: number;
  readonly cpu?: number;
  readonly time?: number;
  readonly sends?: number;
  readonly log?: number;
}

/** Upper bounds of every flow's limits, its own and its image's. */
export type Ceilings = Required<LimitsConfig>;

/** One entry of `from:`: exactly one connector and its checked configuration. */
export interface SourceConfig {
  readonly connector: string;
  readonly config: unknown;
}

/** One entry of `to:`: exactly one connector, with its delivery settings. */
export interface OutletConfig {
  readonly connector: string;
  readonly config: unknown;
  readonly retry: RetryConfig;
  /** Sends and requests under way at once. */
  readonly concurrency: number;
  /** Sends and requests a second at most; undefined: no bound. */
  readonly rate: number | undefined;
  /** Timeout of one attempt, in milliseconds. */
  readonly timeout: number;
  /** Failures in a row that open the circuit, and how long it stays open in milliseconds; undefined: never. */
  readonly breaker: { readonly failures: number; readonly pause: number } | undefined;
  readonly onDead: OnDead;
}

/** Rules for recording a flow's messages. */
export interface HistoryRules {
  readonly record: "all" | "failures" | "sample";
  /** Share of messages, for `record: sample`. */
  readonly sample: number;
  readonly bodies: "all" | "headers" | "none";
  readonly redact: {
    /** Names of headers, in any case; with an exclamation mark: one that is always hidden, and is not here. */
    readonly headers: readonly string[];
    /** JSON pointers; `*` stands for every member. */
    readonly paths: readonly string[];
  };
}

export interface FlowConfig {
  /** Source file of the flow, relative to mayfly.yaml; or… */
  readonly flow: string | undefined;
  /** …a built image. Exactly one of the two is given. */
  readonly image: string | undefined;
  /** A new image beside it: a source file, a built image or `sha256:DIGITS`, and the share of messages that meets it, from 0 to 1. */
  readonly canary: { readonly new: string; readonly share: number } | undefined;
  readonly from: readonly SourceConfig[];
  readonly to: Readonly<Record<string, OutletConfig>>;
  /** Hosts `fetch` may reach: `api.example.com`, `*.example.com`, `host:8443`. Empty: none. */
  readonly hosts: readonly string[];
  /** Networks that `fetch` and outlets may reach besides the public internet; undefined: whatever the hosts' addresses are. Fixed while the flow is served. */
  readonly networks?: readonly string[] | undefined;
  /** Undefined: no bound but the disk. */
  readonly keeps?: KeepsConfig | undefined;
  /** The `values` of every machine of the flow, which nobody else sees: by names `mayfly-value-…` among the headers of its event. */
  readonly values: Readonly<Record<string, string>>;
  readonly retry: FlowRetryConfig;
  readonly onDead: OnDead;
  readonly limits: LimitsConfig;
  readonly ceilings: Ceilings;
  /** CPU time in relation to the other flows', while all want more than there is. */
  readonly weight: number;
  /** Of several flows that have one part of the CPU time together: the same object for all of them. Undefined: the flow has its own. */
  readonly share?: { readonly name: string; readonly weight: number } | undefined;
  /** Expression for the message's key: `header:NAME`, `path:NAME`, `json:/pointer`, `id`, `key`, `body` or a quoted text. */
  readonly key: string | undefined;
  readonly dedup: { readonly by: string | undefined; readonly window: number; readonly count: number } | undefined;
  /** True: dead letters keep the headers a caller identified itself with. */
  readonly keepCredentials: boolean;
  /** Maximum wait before a message starts, in milliseconds; after that it becomes a dead letter. */
  readonly expires: number | undefined;
  /** Longer bodies go to the body store, in bytes; undefined: none. */
  readonly claimCheck: number | undefined;
  /** Machines of this flow at once. */
  readonly concurrency: number;
  /** Messages queued, running or waiting for a retry at once. */
  readonly queue: number;
  readonly history: HistoryRules;
  readonly sleep: SleepConfig;
  /** Signals by name, and where they come from. */
  readonly signals: Readonly<Record<string, SignalConfig>>;
}

/** Bytes that all flows of one owner may keep together. */
export interface KeepsConfig {
  /** The flows' names begin with it and `--`. */
  readonly owner: string;
  readonly state: number;
  /** Of messages, sleepers, sends and signals that wait. */
  readonly messages: number;
  readonly deadLetters: number;
}

export interface SleepConfig {
  /** Longest time of one sleep, in milliseconds. */
  readonly max: number;
  /** Machines of the flow asleep at once. */
  readonly atMost: number;
  /** How long a signal is kept that comes before its wait, in milliseconds; 0 refuses it. */
  readonly early: number;
  /** `free`: while a machine sleeps, other messages of its key go on. `strict`: they wait for its end. */
  readonly order: "free" | "strict";
}

export interface SignalConfig {
  readonly from: readonly SourceConfig[];
  /** Expressions for the signal's key, as for a flow's `key`: the first that it has counts, and the source's own key after them. */
  readonly key: readonly string[];
}

/** Export by OpenTelemetry. Settings that are undefined are the environment's: OTEL_EXPORTER_OTLP_ENDPOINT and so on. */
export interface TelemetryConfig {
  /** Base URL of the collector: signals go to `/v1/traces`, `/v1/metrics` and `/v1/logs` below it. */
  readonly endpoint: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Share of the traces that begin here, from 0 to 1. */
  readonly sample: number | undefined;
  readonly traces: boolean;
  readonly metrics: boolean;
  readonly logs: boolean;
  readonly service: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** Between two exports of metrics, in milliseconds. */
  readonly interval: number | undefined;
}

/** PEM files of a certificate chain and its key, relative to mayfly.yaml. */
export interface CertificateConfig {
  readonly cert: string;
  readonly key: string;
}

export interface TlsServerConfig extends CertificateConfig {
  /** Others, each for the names that it has. */
  readonly certificates: readonly CertificateConfig[];
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** PEM file of the authorities whose client certificates are good; undefined: none is asked for. */
  readonly clientCa: string | undefined;
}

export interface FunctionsConfig {
  /** Folder, absolute. */
  readonly dir: string;
  /** File of tenants, absolute; undefined: only the operator deploys. */
  readonly tenants: string | undefined;
  /** Upper bounds of every function's limits. */
  readonly ceilings: Ceilings;
}

/** The cluster that this gateway is a node of: its journal is in NATS JetStream. */
export interface ClusterConfig {
  /** Addresses of the servers, with commas between them. */
  readonly nats: string;
  /** One token of a NATS subject, as `node` is. */
  readonly name: string;
  /** Copies of each partition's log, on as many servers. */
  readonly replicas: number;
  /** Shares of the keys; fixed for the life of the cluster. */
  readonly partitions: number;
  /** This node's name; undefined: MAYFLY_NODE of the environment, or the computer's. */
  readonly node: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** File of user JWT and seed, absolute. */
  readonly credentials: string | undefined;
  readonly nkey: string | undefined;
  /** Absolute PEM files. Undefined: TLS with the system's authorities where `nats` says `tls://`. */
  readonly tls: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined } | undefined;
}

export interface GatewayConfig {
  /** Folder relative paths start from: that of mayfly.yaml. */
  readonly base: string;
  /** Files that `${file:…}` named, absolute: a change of one is a change of the configuration. */
  readonly secretFiles: readonly string[];
  /** Files that contracts of sources are made of, absolute. */
  readonly contractFiles: readonly string[];
  readonly flows: Readonly<Record<string, FlowConfig>>;
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** Connections open at once from one address. */
    readonly connectionsPerAddress: number;
    readonly proxies: ProxiesConfig;
    readonly tls: TlsServerConfig | undefined;
    /** Path of the document of contracts: `/openapi.json`; undefined: it is not served. */
    readonly openapi: string | undefined;
    /** Where /metrics is served: on `port` as well, or only with the admin endpoints. */
    readonly metrics: "public" | "admin";
    /** `mayfly send` and the like: on a UNIX socket, and with `port` over TCP for whoever has the token. */
    readonly admin: {
      readonly enabled: boolean;
      readonly host: string;
      /** Names, besides `host`, IP addresses and localhost, that callers may reach the port under. */
      readonly hosts: readonly string[];
      /** Undefined: the socket only. */
      readonly port: number | undefined;
      readonly token: string | undefined;
    };
  };
  /** Connections of flows' `fetch`. */
  readonly fetch: {
    readonly proxy: string | undefined;
    /** Networks that may be reached besides the public internet; undefined: whatever the hosts' addresses are. */
    readonly networks: readonly string[] | undefined;
    /** PEM file of the authorities, in place of the system's. */
    readonly ca: string | undefined;
  };
  readonly journal: {
    /** Folder; undefined: in memory only. */
    readonly dir: string | undefined;
    /** How long what is done stays readable; undefined: it goes with the next checkpoint. */
    readonly retention: { readonly ageMs: number; readonly bytes: number } | undefined;
  };
  /** Undefined: this gateway is alone. */
  readonly cluster: ClusterConfig | undefined;
  readonly deadLetters: { readonly dir: string };
  /** Functions that are deployed while the gateway runs; undefined: none can be. */
  readonly functions: FunctionsConfig | undefined;
  readonly history: {
    readonly enabled: boolean;
    /** Absolute. */
    readonly dir: string;
    readonly keepMs: number;
    readonly sizeBytes: number;
  };
  /** Folders a build may read besides the project's, absolute. */
  readonly build: { readonly include: readonly string[] };
  /** Files of public keys, absolute: an image of a registry runs only if one of them has signed it. Empty: any runs. */
  readonly images: { readonly trust: readonly string[] };
  /** Memory budget, in bytes; undefined: by what the process may use. */
  readonly memory: number | undefined;
  /** Undefined: questions can't be sent to people with a link. */
  /** `key`: the secret that links are signed with; undefined: one of this gateway's own, in the journal's folder. */
  readonly approvals: { readonly url: string; readonly key?: string | undefined } | undefined;
  readonly monitor: "embedded" | "process" | "qemu";
  /** Worker threads or processes; undefined: the monitor's own choice. */
  readonly workers: number | undefined;
  /** Reuse of a process or virtual machine across messages: for one flow, or never. */
  readonly isolation: "flow" | "message";
  /** Undefined: off, unless the environment names a collector. */
  readonly telemetry: TelemetryConfig | undefined;
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" | "silent"; readonly format: "auto" | "json" | "pretty" };
  /** How long stop() waits for what is under way, in milliseconds. */
  readonly drain: number;
}
