/** mayfly.yaml's JSON Schema, made of the connectors' own. Published as gateway/mayfly.schema.json and used for validation as it is. */
import type { ConnectorDescription, JsonSchema } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { clusterSchema } from "./cluster-settings.ts";
import { flowHistorySchema, historySchema } from "./history-settings.ts";
import { fetchSchema, httpSchema } from "./http-settings.ts";
import { defaultPlaces } from "./places.ts";
import { object, section, text, whole } from "./schema-parts.ts";
import { duration, durationRange, early, rate, share, size } from "../contract/units.ts";

/** Flow and outlet names: they are folder names and metric labels as well. */
export const namePattern = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

function connectors(definitions: readonly ConnectorDescription[]): Record<string, JsonSchema> {
  return Object.fromEntries(definitions.map((each) => [each.name, { ...each.schema, description: each.summary }]));
}

function retry(what: string, attempts: number, backoff: string, age: string, more: Record<string, JsonSchema> = {}): JsonSchema {
  return {
    ...object(`Retries after ${what} fails.`, {
      attempts: whole("Maximum number of attempts, including the first.", 1, 1000, attempts),
      backoff: durationRange("Shortest and longest wait between attempts; the wait doubles each time, with jitter.", backoff),
      age: duration("Maximum age for a retry.", age),
      ...more,
    }),
    default: {},
  };
}

function onDead(what: string): JsonSchema {
  return {
    type: "string",
    enum: ["continue", "hold"],
    default: "continue",
    description: `hold: after a dead letter, nothing else of its key ${what} until the letter is retried or dropped; after one without a key, nothing at all.`,
  };
}

function outletSchema(outlets: readonly ConnectorDescription[]): JsonSchema {
  return object("Exactly one connector, with its delivery settings.", {
    ...connectors(outlets),
    retry: retry("a send", gatewayLimits.outletAttempts, "200ms..60s", "24h"),
    onDead: onDead("is sent"),
    concurrency: whole("Maximum number of sends and requests in flight.", 1, 10_000, gatewayLimits.outletConcurrency),
    rate: rate("Maximum rate of sends and requests."),
    timeout: duration("Timeout of one attempt. Equivalent to the connector's own `timeout`."),
    breaker: object("Circuit breaker: pauses the outlet after repeated failures.", {
      failures: whole("Consecutive failures that open the circuit.", 1, 10_000, 10),
      pause: duration("Time the circuit stays open.", "10s"),
    }),
  });
}

function fromSchema(sources: readonly ConnectorDescription[]): JsonSchema {
  return {
    type: "array",
    description: "Sources. Each has exactly one connector.",
    maxItems: gatewayLimits.sourcesPerFlow,
    default: [],
    items: {
      type: "object",
      description: "Exactly one connector.",
      minProperties: 1,
      maxProperties: 1,
      additionalProperties: false,
      properties: connectors(sources),
    },
  };
}

const values: JsonSchema = {
  type: "object",
  description:
    "Settings and secrets (from ${ENV}) that the flow gets as `values`, in the handler's second argument. Never written to the journal, a log or a dead letter.",
  default: {},
  maxProperties: 64,
  propertyNames: { pattern: "^[a-z][a-z0-9-]*$" },
  additionalProperties: text("A value."),
};

const messageLimits: JsonSchema = section("Limits of one message.", {
  memory: size("Memory of the machine."),
  cpu: duration("CPU time of one step."),
  time: duration("Wall time of one message, including waits."),
  sends: whole("Number of sends by one message.", 0, 1_000_000),
  log: size("Size of the log text of one message."),
});

const sleepSchema: JsonSchema = section("Machines of the flow that sleep: they wait durably for a signal or a time.", {
  max: duration("Longest sleep; after it the machine is woken, and its wait counts as over.", "30d"),
  atMost: whole("Maximum number of machines asleep.", 1, gatewayLimits.sleepersMost, gatewayLimits.sleepers),
  early: early(
    "Signals that come before their wait: kept for that time, after which they become dead letters (MF_SIGNAL_UNCLAIMED), or refused.",
    "keep 1d",
  ),
  order: {
    type: "string",
    enum: ["free", "strict"],
    default: "free",
    description: "free: while a machine sleeps, other messages of its key run. strict: they wait for its end.",
  },
});

/** A flow and its signals have the same sources. */
const sourcesReference: JsonSchema = { $ref: "#/$defs/sources", default: [], description: "Sources. Each has exactly one connector." };

const signalsSchema: JsonSchema = {
  type: "object",
  description:
    "Signals that the flow's sleeping machines wait for, by name, and their sources. `mayfly signal` and `signal` outlets need no entry.",
  maxProperties: gatewayLimits.signalsPerFlow,
  default: {},
  propertyNames: { pattern: namePattern },
  additionalProperties: object("One signal.", {
    from: sourcesReference,
    key: {
      type: ["string", "array"],
      minLength: 1,
      minItems: 1,
      maxItems: 8,
      items: text("An expression."),
      description:
        "Key of a signal, the one that the machine waits for: path:NAME, header:NAME, json:/pointer, id, key, body or a text in double quotes. Of a list the first counts that the signal has. Default: the key its source gives.",
    },
  }),
};

function flowSchema(outlets: readonly ConnectorDescription[]): JsonSchema {
  return object("One flow: its code, its sources and its outlets.", {
    flow: text("Path of the flow's TypeScript file, relative to this file. Required unless `image` is set."),
    image: {
      type: ["string", "object"],
      minLength: 1,
      description:
        "Path of a built image (.mfi), relative to this file, sha256:DIGITS of an image built earlier in this project, or oci://HOST/REPOSITORY:TAG of a registry. Beside `flow`, a new image for a share of the messages: { new: flows/orders-2.ts, share: 5% }.",
      properties: {
        new: text("The new flow: a TypeScript file, a built image (.mfi), sha256:DIGITS or oci://HOST/REPOSITORY:TAG."),
        share: share("Share of the messages, by key or else by id, that meet the new image."),
      },
      required: ["new", "share"],
      additionalProperties: false,
    },
    from: sourcesReference,
    to: {
      type: "object",
      description: "Outlets, by the name the flow uses.",
      maxProperties: gatewayLimits.outletsPerFlow,
      default: {},
      propertyNames: { pattern: namePattern },
      additionalProperties: outletSchema(outlets),
    },
    hosts: {
      type: "array",
      description: "Hosts that `fetch` may reach: api.example.com, *.example.com, localhost:8080.",
      default: [],
      items: text("A host."),
    },
    values,
    retry: retry("a message", gatewayLimits.attempts, "200ms..30s", "24h", {
      programErrors: {
        type: "boolean",
        default: false,
        description:
          "Retry also after a TypeError, ReferenceError, SyntaxError or RangeError in the flow. By default such a message has one attempt.",
      },
    }),
    onDead: onDead("is started"),
    limits: messageLimits,
    weight: whole(
      "Share of the CPU relative to other flows under contention: a flow of weight 2 gets twice the CPU time of a flow of weight 1.",
      1,
      100,
      1,
    ),
    key: text(
      "Key of a message; messages with the same key run in order and share state. One of header:NAME, path:NAME, json:/pointer, id, key, body, or a text in double quotes.",
    ),
    dedup: object("Recognise duplicates within the window and do not run them again.", {
      by: text("Expression as for `key`. Default: the message's id."),
      window: duration("Time an id is remembered.", "24h"),
      count: whole("Maximum number of ids remembered.", 1, gatewayLimits.dedupIds, 10_000),
    }),
    keepCredentials: {
      type: "boolean",
      default: false,
      description:
        "Keep the headers authorization, proxy-authorization and cookie in the flow's dead letters, for retries that need them. A machine that had slept has them in its `.asleep` file either way: they are part of its events.",
    },
    expires: duration("Maximum wait before a message starts; after that it becomes a dead letter."),
    claimCheck: size(
      "Bodies longer than this, from http, file, sftp and s3 sources, are streamed to a store beside the journal and never held in memory; the flow reads such a message with `rows`, `lines` or `elements`, or forwards it. Needs a journal on disk. Default: 8MiB, or an eighth of the machine's memory, for a flow that reads so; 256KiB with `batch`; off for others.",
    ),
    concurrency: whole("Maximum number of machines of this flow.", 1, 100_000, gatewayLimits.concurrency),
    queue: whole(
      "Maximum number of messages queued, running or waiting for a retry; beyond it, new messages are refused.",
      1,
      gatewayLimits.pendingTotal,
      gatewayLimits.pendingPerFlow,
    ),
    history: flowHistorySchema,
    sleep: sleepSchema,
    signals: signalsSchema,
  });
}

const journal: JsonSchema = section("Durable record of messages, their effects and state.", {
  dir: text("Folder.", defaultPlaces.journal),
  memory: {
    type: "boolean",
    default: false,
    description: "Keep the journal in memory only: queued messages are lost in a crash, state at every stop.",
  },
  retention: object(
    "Keep finished messages, for `mayfly journal export --part history`, within these limits. Default: only ids within a dedup window are kept.",
    {
      age: duration("Maximum age.", "7d"),
      size: size("Maximum size; the oldest are deleted first.", "1GiB"),
    },
  ),
});

const deadLetters: JsonSchema = section("Dead letters: messages and sends that failed for good.", {
  dir: text("Folder.", defaultPlaces.deadLetters),
});

const functions: JsonSchema = object("Functions that are deployed while the gateway runs (`mayfly deploy`). Default: none can be.", {
  dir: text("Folder of their images, settings and secrets. Default: functions in the journal's folder."),
  tenants: text("File of tenants, their keys and quotas, relative to this file. Default: only the operator deploys."),
});

const images: JsonSchema = section("Images of flows from a registry (`image: oci://HOST/REPOSITORY:TAG`).", {
  trust: {
    type: "array",
    description:
      "Files of public keys (PEM), relative to this file. If there are any, an image of a registry runs only if one of them has signed it: `mayfly push --sign`, or `cosign sign --key`. Default: any runs.",
    default: [],
    maxItems: 16,
    items: text("A file."),
  },
});

const build: JsonSchema = section("How flows are built.", {
  include: {
    type: "array",
    description:
      "Folders a build may read besides the project and its node_modules, relative to this file: ../shared in a monorepo. Includes the files of their packages.",
    default: [],
    maxItems: 64,
    items: text("A folder."),
  },
});

const ceilings: JsonSchema = section("Upper bounds of every flow's limits: the lower of ceiling and limit applies.", {
  memory: size("Memory of the machine.", "256MiB"),
  cpu: duration("CPU time of one step.", "10s"),
  time: duration("Wall time of one message, including waits.", "1h"),
  sends: whole("Number of sends by one message.", 0, 1_000_000, 100_000),
  log: size("Size of the log text of one message.", "4MiB"),
});

const isolation: JsonSchema = {
  type: "string",
  enum: ["flow", "message"],
  default: "flow",
  description:
    "For the monitors process and qemu. message: a process or virtual machine runs a single message. flow: it is restored and reused for the next message of its flow.",
};

const log: JsonSchema = section("The gateway's log.", {
  level: {
    type: "string",
    enum: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    description: "Lowest level that is logged.",
  },
  format: {
    type: "string",
    enum: ["auto", "json", "pretty"],
    default: "auto",
    description: "auto: pretty on a terminal, json elsewhere.",
  },
});

const telemetry: JsonSchema = object(
  "Export of traces, metrics and logs by OpenTelemetry (OTLP over HTTP, protobuf). On when this section or OTEL_EXPORTER_OTLP_ENDPOINT is there; the other OTEL_ variables count where a setting is missing here.",
  {
    endpoint: {
      ...text("Base URL of the collector: http://localhost:4318."),
      pattern: "^https?://",
      patternErrorMessage: "must be a URL such as http://localhost:4318",
    },
    headers: {
      type: "object",
      description: "Headers of each export, such as an API key from ${ENV}.",
      default: {},
      maxProperties: 64,
      propertyNames: { pattern: "^[A-Za-z0-9-]+$" },
      additionalProperties: text("A value."),
    },
    sample: share(
      "Share of the traces that begin here and are exported. A message that comes with a trace context follows its sender's decision. Default: OTEL_TRACES_SAMPLER_ARG, or 100%.",
    ),
    traces: { type: "boolean", default: true, description: "Export traces." },
    metrics: { type: "boolean", default: true, description: "Export metrics." },
    logs: { type: "boolean", default: true, description: "Export the gateway's log." },
    service: text("service.name of the resource. Default: OTEL_SERVICE_NAME, or mayfly."),
    attributes: {
      type: "object",
      description: "Attributes of the resource, such as deployment.environment.name.",
      default: {},
      maxProperties: 64,
      propertyNames: { pattern: "^[A-Za-z][A-Za-z0-9._-]*$" },
      additionalProperties: text("A value."),
    },
    interval: duration("Interval of metrics. Default: OTEL_METRIC_EXPORT_INTERVAL, or 60s."),
  },
);

const approvals: JsonSchema = object(
  "Questions that flows ask people (`approve`): the page behind the links that they are sent, at /approve/ of http.port.",
  {
    url: {
      ...text("URL under which people reach http.port: links begin with it."),
      pattern: "^https?://[^\\s?#]+$",
      patternErrorMessage: "must be a URL without query, such as https://mayfly.example.com",
    },
    key: {
      ...text(
        "Secret that links are signed with, the same at all nodes of a cluster, which need it. Default: a key in the journal's folder.",
      ),
      minLength: 32,
    },
  },
  ["url"],
);

const monitor: JsonSchema = {
  type: "string",
  enum: ["embedded", "process", "qemu"],
  description: "Monitor that runs the machines.",
  default: "embedded",
};

export function configSchema(sources: readonly ConnectorDescription[], outlets: readonly ConnectorDescription[]): JsonSchema {
  const shape = object(
    "The gateway's configuration: mayfly.yaml",
    {
      flows: {
        type: "object",
        description: "Flows by name.",
        maxProperties: gatewayLimits.flows,
        propertyNames: { pattern: namePattern },
        additionalProperties: flowSchema(outlets),
      },
      http: httpSchema,
      fetch: fetchSchema,
      journal,
      cluster: clusterSchema,
      deadLetters,
      functions,
      history: historySchema,
      build,
      images,
      memory: size(
        "Memory budget for the messages of all flows: bodies, answers, replies and waiting machines. Default: a third of the memory available to the process (the computer's or the control group's) minus 208MiB, between 32MiB and 1GiB. The whole process uses up to three times the budget plus 208MiB.",
      ),
      approvals,
      monitor,
      ceilings,
      workers: whole("Number of worker threads or processes. Default: chosen by the monitor.", 1, 1024),
      isolation,
      telemetry,
      log,
      drain: duration(
        "Maximum duration of a stop. The last quarter of it, at most 2s, is for closing connections; the rest is for messages in flight.",
        "10s",
      ),
    },
    ["flows"],
  );
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "mayfly.yaml",
    ...shape,
    $defs: { sources: fromSchema(sources) },
  };
}
