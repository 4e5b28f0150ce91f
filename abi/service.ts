/**
 * A service: what an ELF that serves the network by itself knows of mayfly.yaml. `mayfly build` writes it, kernel/net/service reads it.
 *
 * Its wire form is a frame (frame.ts) whose magic is "MFS" and `serviceVersion`. Numbers are f64. Records, in this order:
 *
 *   1  service    name │ version │ image's SHA-256, hexadecimal │ drain ms │ log level (0 debug … 4 silent)
 *   2  listener   port │ port of /healthz and /metrics, 0: the same
 *   3  syslog     address:port; the record is absent where the log goes to the console only
 *   4  auth       group │ type (0 bearer, 1 basic, 2 apiKey, 3 signature, 4 jwt) │ header │ caller's name │ secret │ form of the signature │ text
 *                 before it │ tolerance ms; the last three are absent but for signatures; of a group one is enough. Of a jwt the name is its rules,
 *                 the secret the URL of the keys, the form bits of algorithms (service-token.ts); the text is absent
 *   5  flow       name │ machines at once │ messages at once │ memory bytes │ CPU ms │ time ms │ sends │ log bytes; what follows is this flow's
 *   6  route      path │ methods, separated by commas │ time ms, 0: the limits' │ most body bytes │ auth group, absent: none │ header of the id │
 *                 full errors (flag)
 *   7  outlet     name │ scheme │ host │ port │ path and query │ method │ time ms │ attempts │ least and most backoff ms │ retry age ms │ user:password │
 *                 failures in a row that open its circuit, and for how many ms; absent: it has no breaker
 *   8  header     name │ value; of the outlet before it
 *   9  line       name │ level (0 debug … 3 error) │ text │ most bytes of the body shown; an outlet into the log
 *  10  value      name │ value; of the flow's `values`
 *  11  schedule   name │ every ms, 0: by the date │ at start (flag) │ minutes │ hours │ days │ months │ weekdays │ days or weekdays (flag) │
 *                 content type │ body; each of minutes … weekdays is a text of "0" and "1", of which "1" are the numbers that fit, from the least
 *
 * Where there are several flows, all are in one image, and each message has its flow's name in the header `mayfly-flow`.
 *
 * Texts may hold `${NAME}`: the setting of that name in config.json fills it in at start. Such a text is no secret yet. `${NAME:-text}` has a
 * default, for a setting that is absent or empty. An outlet of port 0 has a whole URL for its host, `http://host:port/path?query`, known once
 * its settings are: its path is empty, and user and password in the URL are its Basic credentials.
 */
import { assert, err, ok, type Result } from "#base";
import { decodeFrame, encodeFrame, type FrameForm, type NewRecord, type PartRecord, writeFrameHeader } from "./frame.ts";
import { type FlowLimits, hardLimits, serviceLimits, serviceVersion } from "./limits.ts";
import { algorithmBits, readToken, rulesText, type ServiceToken } from "./service-token.ts";

/** Forms of a signature: of the body alone, in hexadecimal or base64; or as Stripe, Slack and the Standard Webhooks sign time and body. */
export const signatureForms = ["hex", "base64", "stripe", "slack", "standard"] as const;

/** An HMAC with SHA-256 of the request's body. */
export interface ServiceSignature {
  readonly form: (typeof signatureForms)[number];
  /** Text before the signature in its header. */
  readonly prefix: string;
  /** Largest difference between the request's time and ours, in milliseconds. */
  readonly toleranceMs: number;
}

/** One way in which callers show who they are. */
export interface ServiceAuth {
  readonly type: "bearer" | "basic" | "apiKey" | "signature" | "jwt";
  /** Of an `apiKey` or a `signature`, in lower case; `authorization` for the others. */
  readonly header: string;
  /** Name of the caller that has an `apiKey`; undefined for the others. */
  readonly caller: string | undefined;
  /** Token, `user:password` or key; of a `jwt` the URL of its issuer's keys, which is no secret. */
  readonly secret: string;
  /** Of a `signature`. */
  readonly signature?: ServiceSignature | undefined;
  /** Of a `jwt`. */
  readonly token?: ServiceToken | undefined;
}

export interface ServiceRoute {
  /** As in mayfly.yaml: `/orders/:id`, `/files/*`. */
  readonly path: string;
  /** In upper case. */
  readonly methods: readonly string[];
  /** Maximum duration of one message, in milliseconds; 0: that of the limits. */
  readonly timeoutMs: number;
  /** Longest body, in bytes. */
  readonly bodyLimit: number;
  /** Index in `Service.auth`; undefined: anyone may call. */
  readonly auth: number | undefined;
  /** Header that contains the message's id, in lower case. */
  readonly idHeader: string;
  /** As `errors: full` of an http source. */
  readonly fullErrors: boolean;
}

export interface ServiceOutlet {
  readonly name: string;
  readonly scheme: "http";
  /** With port 0 a whole URL, from settings: `${ERP_URL}`. */
  readonly host: string;
  readonly port: number;
  /** Path and query, from the first `/`. */
  readonly path: string;
  readonly method: string;
  /** Timeout of one attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** Attempts in all, the first included. */
  readonly attempts: number;
  readonly backoffMs: { readonly least: number; readonly most: number };
  /** Maximum age for a retry, in milliseconds. */
  readonly retryAgeMs: number;
  /** So many failures in a row open the circuit for a time: requests and sends fail at once then. */
  readonly breaker?: { readonly failures: number; readonly pauseMs: number } | undefined;
  /** `user:password`, sent as Basic credentials. */
  readonly basic: string | undefined;
  /** Of every request; they override the flow's. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** An outlet into the log: a line for each send. */
export interface ServiceLine {
  readonly name: string;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  /** Bytes of the body that are shown. */
  readonly maxBytes: number;
}

/** Dates in UTC that fit, each a text of "0" and "1": 60 minutes, 24 hours, 31 days, 12 months, 7 weekdays from Sunday. */
export interface ServiceDates {
  readonly minutes: string;
  readonly hours: string;
  readonly days: string;
  readonly months: string;
  readonly weekdays: string;
  /** A date fits by its day or by its weekday; otherwise by both. */
  readonly either: boolean;
}

/** A message by the clock. */
export interface ServiceSchedule {
  /** Of the source: `from[0]`. */
  readonly name: string;
  readonly when: { readonly everyMs: number } | ServiceDates;
  readonly atStart: boolean;
  readonly contentType: string;
  /** Undefined: an object with the date. */
  readonly body: string | undefined;
}

export interface ServiceFlow {
  readonly name: string;
  /** Machines running or waiting at once. */
  readonly concurrency: number;
  /** Messages queued, running or waiting at once; beyond it callers get 503. */
  readonly queue: number;
  readonly limits: FlowLimits;
  readonly routes: readonly ServiceRoute[];
  readonly outlets: readonly ServiceOutlet[];
  readonly lines: readonly ServiceLine[];
  readonly schedules: readonly ServiceSchedule[];
  /** The flow's `values`, by the names that mayfly.yaml gives them. */
  readonly values: Readonly<Record<string, string>>;
}

export interface Service {
  readonly name: string;
  readonly version: string;
  /** Hash of the image, 64 hexadecimal digits. */
  readonly imageSha256: string;
  /** How long a stop waits for what is under way, in milliseconds. */
  readonly drainMs: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  readonly port: number;
  /** Port of /healthz and /metrics; 0: that of the flows. */
  readonly healthPort: number;
  /** `address:port` of a syslog server (UDP); undefined: the log goes to the console only. */
  readonly syslog: string | undefined;
  /** Groups of ways, of each one is enough. */
  readonly auth: readonly (readonly ServiceAuth[])[];
  /** One at least, each with a route or a schedule. */
  readonly flows: readonly ServiceFlow[];
}

export const ServiceKind = {
  service: 1,
  listener: 2,
  syslog: 3,
  auth: 4,
  flow: 5,
  route: 6,
  outlet: 7,
  header: 8,
  line: 9,
  value: 10,
  schedule: 11,
} as const;

const levels: readonly Service["logLevel"][] = ["debug", "info", "warn", "error", "silent"];
const authTypes: readonly ServiceAuth["type"][] = ["bearer", "basic", "apiKey", "signature", "jwt"];
const lineLevels: readonly ServiceLine["level"][] = ["debug", "info", "warn", "error"];

const form: FrameForm = {
  magic: (0x53_46_4d | (serviceVersion << 24)) >>> 0, // "MFS", version
  mostBytes: serviceLimits.frameBytes,
  mostRecords: serviceLimits.records,
};

function outletRecords(outlet: ServiceOutlet): readonly NewRecord[] {
  const { name, scheme, host, port, path, method, timeoutMs, attempts, backoffMs, retryAgeMs, basic, headers, breaker } = outlet;
  const { least, most } = backoffMs;
  return [
    {
      kind: ServiceKind.outlet,
      parts: [
        ...[name, scheme, host, port, path, method, timeoutMs, attempts, least, most, retryAgeMs, basic],
        ...[breaker?.failures, breaker?.pauseMs],
      ],
    },
    ...Object.entries(headers).map((parts) => ({ kind: ServiceKind.header, parts })),
  ];
}

const datesOf = ["minutes", "hours", "days", "months", "weekdays"] as const;
const datesLengths = [60, 24, 31, 12, 7];

function scheduleRecord({ name, when, atStart, contentType, body }: ServiceSchedule): NewRecord {
  const [everyMs, dates] = "everyMs" in when ? [when.everyMs, undefined] : [0, when];
  const sets = datesOf.map((each) => dates?.[each]);
  return { kind: ServiceKind.schedule, parts: [name, everyMs, atStart, ...sets, dates?.either ?? false, contentType, body] };
}

function flowRecords({ name, concurrency, queue, limits, routes, outlets, lines, schedules, values }: ServiceFlow): readonly NewRecord[] {
  const { memoryBytes, cpuMs, timeMs, sends, logBytes } = limits;
  return [
    { kind: ServiceKind.flow, parts: [name, concurrency, queue, memoryBytes, cpuMs, timeMs, sends, logBytes] },
    ...routes.map(({ path, methods, timeoutMs, bodyLimit, auth, idHeader, fullErrors }) => ({
      kind: ServiceKind.route,
      parts: [path, methods.join(","), timeoutMs, bodyLimit, auth, idHeader, fullErrors],
    })),
    ...outlets.flatMap(outletRecords),
    ...lines.map(({ name: line, level, text, maxBytes }) => ({
      kind: ServiceKind.line,
      parts: [line, lineLevels.indexOf(level), text, maxBytes],
    })),
    ...Object.entries(values).map((parts) => ({ kind: ServiceKind.value, parts })),
    ...schedules.map(scheduleRecord),
  ];
}

function authParts({ type, header, caller, secret, signature, token }: ServiceAuth): NewRecord["parts"] {
  const head = [authTypes.indexOf(type), header, token === undefined ? caller : rulesText(token), secret];
  if (token !== undefined) return [...head, algorithmBits(token), undefined, token.toleranceMs];
  if (signature === undefined) return [...head, undefined, undefined, undefined];
  return [...head, signatureForms.indexOf(signature.form), signature.prefix, signature.toleranceMs];
}

function recordsOf(service: Service): readonly NewRecord[] {
  const { name, version, imageSha256, drainMs, logLevel, port, healthPort, syslog } = service;
  return [
    { kind: ServiceKind.service, parts: [name, version, imageSha256, drainMs, levels.indexOf(logLevel)] },
    { kind: ServiceKind.listener, parts: [port, healthPort] },
    ...(syslog === undefined ? [] : [{ kind: ServiceKind.syslog, parts: [syslog] }]),
    ...service.auth.flatMap((ways, group) => ways.map((way) => ({ kind: ServiceKind.auth, parts: [group, ...authParts(way)] }))),
    ...service.flows.flatMap(flowRecords),
  ];
}

/** Asserts that the service is within `serviceLimits`: `mayfly build` has checked it. */
export function encodeService(service: Service): Uint8Array {
  const records = recordsOf(service);
  assert(records.length <= form.mostRecords, "a service has more records than the ABI allows");
  assert(
    service.auth.every((ways) => ways.length > 0),
    "a group of credentials is empty",
  );
  const frame = encodeFrame(records);
  assert(frame.length <= form.mostBytes, "a service is longer than the ABI allows");
  writeFrameHeader(Buffer.from(frame.buffer, frame.byteOffset, frame.length), 0, frame.length, form.magic);
  return frame;
}

const most = serviceLimits.textBytes;
const milliseconds = 2 ** 31 - 1;

type Draft<T> = { -readonly [Name in keyof T]: T[Name] };

type DraftOutlet = Draft<ServiceOutlet> & { headers: Record<string, string> };
type DraftFlow = Omit<ServiceFlow, "routes" | "outlets" | "lines" | "schedules" | "values"> & {
  readonly routes: ServiceRoute[];
  readonly outlets: DraftOutlet[];
  readonly lines: ServiceLine[];
  readonly schedules: ServiceSchedule[];
  readonly values: Record<string, string>;
};

/** Puts a service together from its records; `problem` is the first thing wrong with it. */
class Assembly {
  problem: string | undefined;
  readonly head: Partial<Draft<Service>> = {};
  readonly auth: ServiceAuth[][] = [];
  readonly flows: DraftFlow[] = [];
  #last = 0;

  take(record: PartRecord): void {
    const { kind } = record;
    const begins = kind === ServiceKind.flow || (kind === ServiceKind.outlet && this.#last === ServiceKind.header);
    const isOrdered = kind >= this.#last || begins;
    const isOnce = kind > ServiceKind.syslog || kind !== this.#last;
    this.#last = kind;
    if (!isOrdered || !isOnce || kind > ServiceKind.schedule) this.problem = `unknown or misplaced record of kind ${kind}`;
    else if (kind <= ServiceKind.syslog) this.#takeHead(record);
    else if (kind === ServiceKind.auth) this.#takeAuth(record.expect(8));
    else if (kind === ServiceKind.flow) this.#takeFlow(record.expect(8));
    else this.#takePart(record);
    if (!record.valid) this.problem ??= `record of kind ${kind}: misshapen`;
  }

  #takeHead(record: PartRecord): void {
    const { head } = this;
    if (record.kind === ServiceKind.service) {
      const fields = record.expect(5);
      head.name = fields.text(0, hardLimits.nameBytes);
      head.version = fields.text(1, hardLimits.nameBytes);
      head.imageSha256 = fields.text(2, hardLimits.nameBytes);
      if (!/^[0-9a-f]{64}$/.test(head.imageSha256)) fields.valid = false;
      head.drainMs = fields.count(3, milliseconds);
      head.logLevel = levels[fields.count(4, levels.length - 1)] ?? "info";
    } else if (record.kind === ServiceKind.listener) {
      const fields = record.expect(2);
      head.port = fields.count(0, 65_535);
      head.healthPort = fields.count(1, 65_535);
    } else if (record.kind === ServiceKind.syslog) head.syslog = record.expect(1).text(0, most);
    else this.problem = `unknown record of kind ${record.kind}`;
  }

  #takeFlow(fields: PartRecord): void {
    const name = fields.text(0, hardLimits.nameBytes);
    const [concurrency, queue] = [fields.count(1, milliseconds), fields.count(2, milliseconds)];
    const memoryBytes = fields.count(3, hardLimits.memoryBytes);
    const [cpuMs, timeMs] = [fields.count(4, milliseconds), fields.count(5, milliseconds)];
    const limits = { memoryBytes, cpuMs, timeMs, sends: fields.count(6, milliseconds), logBytes: fields.count(7, milliseconds) };
    if (this.flows.some((flow) => flow.name === name)) fields.valid = false;
    this.flows.push({ name, concurrency, queue, limits, routes: [], outlets: [], lines: [], schedules: [], values: Object.create(null) });
  }

  /** A record of the flow before it. */
  #takePart(record: PartRecord): void {
    const flow = this.flows.at(-1);
    if (flow === undefined) this.problem = `record of kind ${record.kind} before any flow`;
    else if (record.kind === ServiceKind.route) this.#takeRoute(record.expect(7), flow);
    else if (record.kind === ServiceKind.outlet) this.#takeOutlet(record.expect(14), flow);
    else if (record.kind === ServiceKind.line) this.#takeLine(record.expect(4), flow);
    else if (record.kind === ServiceKind.schedule) this.#takeSchedule(record.expect(11), flow);
    else this.#takeText(record.expect(2), flow);
  }

  #takeLine(fields: PartRecord, { lines }: DraftFlow): void {
    lines.push({
      name: fields.text(0, hardLimits.nameBytes),
      level: lineLevels[fields.count(1, lineLevels.length - 1)] ?? "info",
      text: fields.text(2, most),
      maxBytes: fields.count(3, hardLimits.frameBytes),
    });
  }

  #takeSchedule(fields: PartRecord, { schedules }: DraftFlow): void {
    const everyMs = fields.count(1, milliseconds);
    const [minutes = "", hours = "", days = "", months = "", weekdays = ""] = datesLengths.map((length, index) => {
      if (everyMs > 0) return "";
      const set = fields.text(3 + index, length);
      if (set.length !== length || /[^01]/.test(set)) fields.valid = false;
      return set;
    });
    const either = fields.flag(8);
    schedules.push({
      name: fields.text(0, hardLimits.nameBytes),
      when: everyMs > 0 ? { everyMs } : { minutes, hours, days, months, weekdays, either },
      atStart: fields.flag(2),
      contentType: fields.text(9, hardLimits.nameBytes),
      body: fields.optionalText(10, most),
    });
  }

  #takeAuth(fields: PartRecord): void {
    const group = fields.count(0, serviceLimits.records);
    const type = authTypes[fields.count(1, authTypes.length - 1)] ?? "bearer";
    const signature =
      type !== "signature"
        ? undefined
        : {
            form: signatureForms[fields.count(5, signatureForms.length - 1)] ?? "hex",
            prefix: fields.text(6, most),
            toleranceMs: fields.count(7, milliseconds),
          };
    const name = fields.optionalText(3, most);
    const token = type === "jwt" ? readToken(name ?? "", fields.count(5, 0xffff), fields.count(7, milliseconds)) : undefined;
    if (type === "jwt" && token === undefined) fields.valid = false;
    const caller = type === "jwt" ? undefined : name;
    const way = { type, header: fields.text(2, most), caller, secret: fields.text(4, most), signature, ...(token && { token }) };
    if (group === this.auth.length) this.auth.push([way]);
    else if (group === this.auth.length - 1) this.auth[group]?.push(way);
    else fields.valid = false;
  }

  #takeRoute(fields: PartRecord, { routes }: DraftFlow): void {
    const auth = fields.absent(4) ? undefined : fields.count(4, serviceLimits.records);
    if (auth !== undefined && auth >= this.auth.length) fields.valid = false;
    routes.push({
      path: fields.text(0, most),
      methods: fields.text(1, most).split(","),
      timeoutMs: fields.count(2, milliseconds),
      bodyLimit: fields.count(3, hardLimits.frameBytes),
      auth,
      idHeader: fields.text(5, hardLimits.nameBytes),
      fullErrors: fields.flag(6),
    });
  }

  #takeOutlet(fields: PartRecord, { outlets }: DraftFlow): void {
    if (fields.text(1, most) !== "http") fields.valid = false;
    outlets.push({
      name: fields.text(0, hardLimits.nameBytes),
      scheme: "http",
      host: fields.text(2, most),
      port: fields.count(3, 65_535),
      path: fields.text(4, most),
      method: fields.text(5, hardLimits.nameBytes),
      timeoutMs: fields.count(6, milliseconds),
      attempts: fields.count(7, milliseconds),
      backoffMs: { least: fields.count(8, milliseconds), most: fields.count(9, milliseconds) },
      retryAgeMs: fields.count(10, Number.MAX_SAFE_INTEGER),
      basic: fields.optionalText(11, most),
      breaker: fields.absent(12) ? undefined : { failures: fields.count(12, milliseconds), pauseMs: fields.count(13, milliseconds) },
      headers: Object.create(null),
    });
  }

  #takeText(fields: PartRecord, flow: DraftFlow): void {
    const texts = fields.kind === ServiceKind.value ? flow.values : flow.outlets.at(-1)?.headers;
    const name = fields.text(0, hardLimits.nameBytes);
    if (texts === undefined || Object.hasOwn(texts, name)) fields.valid = false;
    else texts[name] = fields.text(1, most);
  }
}

/** Reads a service. Never throws; returns an error if the bytes are malformed. */
export function decodeService(frame: Uint8Array): Result<Service, string> {
  const decoded = decodeFrame(frame, form);
  if (!decoded.ok) return decoded;
  const assembly = new Assembly();
  for (const record of decoded.value) {
    assembly.take(record);
    if (assembly.problem !== undefined) return err(`service: ${assembly.problem}`);
  }
  const { head, auth, flows } = assembly;
  const isWhole =
    head.name !== undefined &&
    head.port !== undefined &&
    flows.length > 0 &&
    flows.every(({ routes, schedules }) => routes.length + schedules.length > 0);
  if (!isWhole) return err("service: a record is missing");
  return ok({ ...(head as Service), syslog: head.syslog, auth, flows });
}
