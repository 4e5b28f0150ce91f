/** mayfly.yaml's JSON Schema, made of the connectors' own. Published as gateway/mayfly.schema.json and used for validation as it is. */
import type { ConnectorDescription, JsonSchema } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { defaultPlaces } from "./places.ts";
import { duration, durationRange, rate, size } from "../contract/units.ts";

/** Flow and outlet names: they are folder names and metric labels as well. */
export const namePattern = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

function object(description: string, properties: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): JsonSchema {
  return { type: "object", description, properties, additionalProperties: false, ...(required.length === 0 ? {} : { required }) };
}

function whole(description: string, minimum: number, maximum: number, fallback?: number): JsonSchema {
  return { type: "integer", description, minimum, maximum, ...(fallback === undefined ? {} : { default: fallback }) };
}

function text(description: string, fallback?: string): JsonSchema {
  return { type: "string", minLength: 1, description, ...(fallback === undefined ? {} : { default: fallback }) };
}

function connectors(definitions: readonly ConnectorDescription[]): Record<string, JsonSchema> {
  return Object.fromEntries(definitions.map((each) => [each.name, { ...each.schema, description: each.summary }]));
}

function retry(what: string, attempts: number, backoff: string, age: string, more: Record<string, JsonSchema> = {}): JsonSchema {
  return {
    ...object(`When ${what} fails: how often, how far apart and for how long it is tried.`, {
      attempts: whole("Attempts in all, the first included.", 1, 1000, attempts),
      backoff: durationRange("The first wait and the longest; doubled each time, with jitter.", backoff),
      age: duration("Nothing is tried again after so long.", age),
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
    description: `hold: behind a dead letter nothing of its key ${what} until somebody retries or drops it; behind one without a key, nothing at all.`,
  };
}

function outletSchema(outlets: readonly ConnectorDescription[]): JsonSchema {
  return object("Exactly one connector, and how it is to be used.", {
    ...connectors(outlets),
    retry: retry("a send", gatewayLimits.outletAttempts, "200ms..60s", "24h"),
    onDead: onDead("is sent"),
    concurrency: whole("Sends and requests under way at once.", 1, 10_000, gatewayLimits.outletConcurrency),
    rate: rate("Sends and requests at most in a time."),
    timeout: duration("One attempt may take so long. The connector's own `timeout` says the same."),
    breaker: object("After so many failures in a row the outlet is left alone for a while.", {
      failures: whole("Failures in a row that open the circuit.", 1, 10_000, 10),
      pause: duration("How long it stays open.", "10s"),
    }),
  });
}

function flowSchema(sources: readonly ConnectorDescription[], outlets: readonly ConnectorDescription[]): JsonSchema {
  return object("One flow: its code, where its messages come from and where they go.", {
    flow: text("The flow's TypeScript file, relative to this file. Either this or `image`."),
    image: text("A built image (.mfi), relative to this file, or sha256:DIGITS of one that was built in this project before."),
    from: {
      type: "array",
      description: "Sources: each exactly one connector.",
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
    },
    to: {
      type: "object",
      description: "Outlets by the name the flow uses.",
      maxProperties: gatewayLimits.outletsPerFlow,
      default: {},
      propertyNames: { pattern: namePattern },
      additionalProperties: outletSchema(outlets),
    },
    hosts: {
      type: "array",
      description: "Hosts `fetch` may reach: api.example.com, *.example.com, localhost:8080.",
      default: [],
      items: text("A host."),
    },
    values: {
      type: "object",
      description:
        "Given to every machine of the flow as `values` (the handler's second argument): settings, and secrets from ${ENV}. Never written to the journal, a log or a dead letter.",
      default: {},
      maxProperties: 64,
      propertyNames: { pattern: "^[a-z][a-z0-9-]*$" },
      additionalProperties: text("A value."),
    },
    retry: retry("a message", gatewayLimits.attempts, "200ms..30s", "24h", {
      programErrors: {
        type: "boolean",
        default: false,
        description:
          "Try again also after a TypeError, ReferenceError, SyntaxError or RangeError of the flow; otherwise such a message has one attempt.",
      },
    }),
    onDead: onDead("is begun"),
    limits: {
      ...object("What one message may use up.", {
        memory: size("The machine's memory."),
        cpu: duration("CPU time of one step."),
        time: duration("Wall time of one message, waiting included."),
        sends: whole("Sends of one message.", 0, 1_000_000),
        log: size("Log text of one message."),
      }),
      default: {},
    },
    weight: whole(
      "CPU time in relation to the other flows', while all want more than there is: a flow of weight 2 has twice that of a flow of weight 1.",
      1,
      100,
      1,
    ),
    key: text("What orders messages and owns state: header:NAME, json:/pointer, id, key, body or a text in double quotes."),
    dedup: object("Duplicates within the window are recognised and not run again.", {
      by: text("As `key`; the message's id unless said otherwise."),
      window: duration("How long an id is remembered.", "24h"),
      count: whole("How many ids are remembered.", 1, gatewayLimits.dedupIds, 10_000),
    }),
    keepCredentials: {
      type: "boolean",
      default: false,
      description:
        "Keep the headers authorization, proxy-authorization and cookie in the flow's dead letters, for a retry that needs them.",
    },
    expires: duration("A message not begun after so long is given up."),
    claimCheck: size(
      "Longer bodies that come by http or file are kept in a store beside the journal, as streams, and never in memory: the flow gets a message it can only forward. Needs a journal on disk. Off unless given.",
    ),
    concurrency: whole("Machines of this flow at once.", 1, 100_000, gatewayLimits.concurrency),
    queue: whole(
      "Messages queued, running or waiting for a retry at once; beyond it sources are refused.",
      1,
      gatewayLimits.pendingTotal,
      gatewayLimits.pendingPerFlow,
    ),
  });
}

export function configSchema(sources: readonly ConnectorDescription[], outlets: readonly ConnectorDescription[]): JsonSchema {
  const shape = object(
    "The gateway's configuration: mayfly.yaml",
    {
      flows: {
        type: "object",
        description: "Flows by name.",
        maxProperties: gatewayLimits.flows,
        propertyNames: { pattern: namePattern },
        additionalProperties: flowSchema(sources, outlets),
      },
      http: {
        ...object("The gateway's HTTP server.", {
          port: whole("Port; 0 takes a free one.", 0, 65_535, 8080),
          host: text("Address to listen on.", "127.0.0.1"),
          connectionsPerAddress: whole(
            "Connections open at once from one IPv4 address or IPv6 /64; more are closed. Raise it behind a proxy, whose callers share its address.",
            1,
            gatewayLimits.httpConnections,
            gatewayLimits.httpConnectionsPerAddress,
          ),
          tls: object("Serve HTTPS.", { cert: text("PEM file of the certificate chain."), key: text("PEM file of the private key.") }, [
            "cert",
            "key",
          ]),
          metrics: {
            type: "string",
            enum: ["public", "admin"],
            default: "public",
            description: "public: /metrics is served on `port` too. admin: only where the admin endpoints are.",
          },
          admin: {
            ...object(
              "What `mayfly send` and `mayfly dlq` talk to: a UNIX socket in the journal's folder that only the gateway's user can open, and a port of its own where one is given.",
              {
                enabled: { type: "boolean", default: true, description: "False: neither socket nor port." },
                port: whole("Port for the same over TCP, with a token; 0 takes a free one.", 0, 65_535),
                host: text("Address `port` is on.", "127.0.0.1"),
                token: text("Bearer token that `port` asks for; /ready on http.port gives its details for it as well."),
              },
            ),
            default: {},
          },
        }),
        default: {},
      },
      journal: {
        ...object("Where messages, their effects and state are kept safe.", {
          dir: text("Folder.", defaultPlaces.journal),
          memory: {
            type: "boolean",
            default: false,
            description: "Keep them in memory only: what is queued is lost in a crash, and state at every stop.",
          },
          retention: object(
            "Keep what is done as well, for `mayfly journal export --part history`, until one of these is reached. Without it only the ids of a dedup window stay.",
            {
              age: duration("What is older goes.", "7d"),
              size: size("Of more than this the oldest goes.", "1GiB"),
            },
          ),
        }),
        default: {},
      },
      deadLetters: {
        ...object("Where messages that were given up are kept.", { dir: text("Folder.", defaultPlaces.deadLetters) }),
        default: {},
      },
      build: {
        ...object("How flows are built.", {
          include: {
            type: "array",
            description:
              "Folders a build may read besides the project's own and its node_modules, relative to this file: ../shared in a monorepo. Its packages' files included.",
            default: [],
            maxItems: 64,
            items: text("A folder."),
          },
        }),
        default: {},
      },
      memory: size(
        "Memory for messages over all flows: bodies, answers, replies and waiting machines. By default a third of what the process may use (the computer's memory or the control group's limit) less 160MiB, from 32MiB to 1GiB. The process takes up to three times as much and 160MiB.",
      ),
      monitor: { type: "string", enum: ["embedded", "process", "qemu"], description: "What runs machines.", default: "embedded" },
      ceilings: {
        ...object("What no flow's limits exceed, whatever it or its image says: the least of both counts.", {
          memory: size("The machine's memory.", "256MiB"),
          cpu: duration("CPU time of one step.", "10s"),
          time: duration("Wall time of one message, waiting included.", "1h"),
          sends: whole("Sends of one message.", 0, 1_000_000, 100_000),
          log: size("Log text of one message.", "4MiB"),
        }),
        default: {},
      },
      workers: whole("Worker threads or processes; the monitor's own choice unless set.", 1, 1024),
      isolation: {
        type: "string",
        enum: ["flow", "message"],
        default: "flow",
        description:
          "With the monitors process and qemu: whether a process or virtual machine takes one message of its flow after another, pristine each time, or a single one.",
      },
      log: {
        ...object("The gateway's log.", {
          level: {
            type: "string",
            enum: ["debug", "info", "warn", "error", "silent"],
            default: "info",
            description: "The least that is shown.",
          },
          format: { type: "string", enum: ["auto", "json", "pretty"], default: "auto", description: "auto: pretty on a terminal." },
        }),
        default: {},
      },
      drain: duration(
        "Longest stop. The last quarter of it, 2s at most, is for closing; what comes before is for messages under way.",
        "10s",
      ),
    },
    ["flows"],
  );
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title: "mayfly.yaml", ...shape };
}
