/**
 * mayfly.yaml → the service that an ELF carries. Everything that a standalone service can't do is a problem with file, line and column, found before
 * anything is built.
 *
 *     text ─▶ template, references kept ─▶ refusals ─▶ configuration ─▶ of each flow routes, outlets, limits ─▶ Service
 */
import {
  type FlowLimits,
  rulesText,
  type Service,
  type ServiceAuth,
  type ServiceFlow,
  type ServiceLine,
  type ServiceOutlet,
  type ServiceRoute,
  type ServiceSchedule,
  serviceLimits,
} from "#abi";
import { CodedError } from "#base";
import { type ConfigTemplate, type FlowConfig, type GatewayConfig, gatewayLimits, limitsOf, type Report } from "#gateway";
import { type AuthWay, groupOf } from "./credentials.ts";
import { lowerLine, lowerOutlet, type SecretCheck } from "./outlets.ts";
import { refuseSettings } from "./refusals.ts";
import { type CronSource, lowerSchedule } from "./schedules.ts";

type Path = readonly (string | number)[];

/** A service that does not know its images yet. */
export interface LoweredService {
  readonly flows: readonly LoweredFlow[];
  /** Folders a build may read besides, absolute. */
  readonly include: readonly string[];
  /** Sentences on settings that do not count. */
  readonly remarks: readonly string[];
  /**
   * `images`: of each flow by itself, in their order; `whole`: of all together, with the service's name. Throws MF_OUTLET_MISSING,
   * MF_STANDALONE_BATCH, MF_STANDALONE_SIZE.
   */
  readonly finish: (images: readonly BuiltImage[], whole: BuiltImage) => Service;
}

export interface LoweredFlow {
  /** In mayfly.yaml. */
  readonly name: string;
  /** Path of its source as written. */
  readonly source: string;
  /** Those of mayfly.yaml, else those of its image. */
  readonly limitsOf: (image: BuiltImage) => FlowLimits;
}

/** The part of an image that its service tells. */
export interface BuiltImage {
  readonly sha256: string;
  readonly manifest: {
    readonly name: string;
    readonly version: string;
    readonly limits: FlowLimits;
    readonly outlets: readonly string[] | null;
    readonly reads?: "stream" | "batch";
  };
}

/** A hypervisor runs the ELF, or Linux as a process. */
export type StandaloneTarget = "microvm" | "linux";

/** Port of a service whose mayfly.yaml names none: a microVM has all ports to itself, a process has the gateway's. */
const defaultPorts: Readonly<Record<StandaloneTarget, number>> = { microvm: 80, linux: 8080 };
/** Records that each service has, and bytes that a record has beside its texts. */
const fixedRecords = 3;
const recordBytes = 16;

/** The part of an http source's settings that a standalone service has. */
interface HttpSource {
  readonly path?: string;
  readonly method?: string | readonly string[];
  readonly bodyLimit: number;
  readonly idHeader: string;
  readonly errors: "brief" | "full";
  readonly auth?: AuthWay | readonly AuthWay[];
}

function routeOf(
  config: HttpSource,
  place: Path,
  groups: ServiceAuth[][],
  { checkSecret, report }: { readonly checkSecret: SecretCheck; readonly report: Report },
): ServiceRoute {
  const { path = "", method = "POST", bodyLimit, idHeader, errors, auth } = config;
  const group = auth === undefined ? [] : groupOf(auth, [...place, "auth"], checkSecret, report);
  return {
    path,
    methods: typeof method === "string" ? [method] : [...method],
    timeoutMs: 0,
    bodyLimit,
    auth: group.length === 0 ? undefined : groups.push(group) - 1,
    idHeader,
    fullErrors: errors === "full",
  };
}

/** Throws MF_OUTLET_MISSING for an outlet that the flow declares and the service lacks, MF_STANDALONE_BATCH for a flow that reads in batches. */
function checkImage({ manifest }: BuiltImage, given: readonly string[], where: string): void {
  if (manifest.reads === "batch")
    throw new CodedError(
      "MF_STANDALONE_BATCH",
      "the flow reads its message in batches, and a standalone service has no journal to commit them in: leave `batch` out, or run the flow with `mayfly serve`",
    );
  const missing = manifest.outlets?.find((name) => !given.includes(name));
  if (missing === undefined) return;
  throw new CodedError(
    "MF_OUTLET_MISSING",
    `the flow uses the outlet "${missing}", which is not configured: add it under ${where} in mayfly.yaml`,
  );
}

/** Throws MF_STANDALONE_SIZE. */
function checkSize(service: Service): Service {
  const { flows, auth } = service;
  const outlets = flows.flatMap((flow) => flow.outlets);
  const texts = [
    ...outlets.flatMap(({ headers, host, path }) => [...Object.values(headers), host, path]),
    ...flows.flatMap(({ values }) => Object.values(values)),
    ...auth.flat().flatMap(({ token, secret }) => (token === undefined ? [] : [rulesText(token), secret])),
    ...flows.flatMap(({ lines }) => lines.map(({ text }) => text)),
    ...flows.flatMap(({ schedules }) => schedules.map(({ body = "" }) => body)),
  ];
  const routes = flows.reduce((sum, flow) => sum + flow.routes.length, 0);
  const records = flows.length + outlets.length + routes + texts.length + auth.flat().length + fixedRecords;
  // The frame is shorter than JSON, but for the lengths of its parts.
  const bytes = Buffer.byteLength(JSON.stringify(service)) + records * recordBytes;
  const tooLong = texts.some((text) => Buffer.byteLength(text) > serviceLimits.textBytes);
  if (!tooLong && records <= serviceLimits.records && bytes <= serviceLimits.frameBytes) return service;
  throw new CodedError(
    "MF_STANDALONE_SIZE",
    `the settings of ${service.name} are too long for a standalone service (${bytes} bytes of ${serviceLimits.frameBytes}): shorten its headers and values, or move them into the flow`,
  );
}

/** Names of the flows of a template, in the file's order. */
export function flowNames({ written }: ConfigTemplate): readonly string[] {
  const flows = (written as { readonly flows?: unknown } | null | undefined)?.flows;
  return typeof flows === "object" && flows !== null ? Object.keys(flows) : [];
}

/** A flow without the limits that its image may give. */
type PartOfFlow = Omit<ServiceFlow, "limits">;

function lowerFlow(name: string, flow: FlowConfig, groups: ServiceAuth[][], { report }: ConfigTemplate): PartOfFlow {
  const at = ["flows", name];
  const checkSecret: SecretCheck = (text, path) => {
    if (text.includes("${")) return;
    const why = "it would be in the ELF, for everybody who has that: write ${NAME}, and set NAME where it starts";
    report(path, why, undefined, "MF_STANDALONE_SECRET");
  };
  const routes: ServiceRoute[] = [];
  const schedules: ServiceSchedule[] = [];
  for (const [index, { connector, config }] of flow.from.entries()) {
    const place = [...at, "from", index, connector];
    if (connector === "cron") schedules.push(...lowerSchedule(`from[${index}]`, config as CronSource, place, report));
    else routes.push(routeOf(config as HttpSource, place, groups, { checkSecret, report }));
  }
  if (flow.from.length === 0)
    report(at, "a standalone service serves HTTP: give the flow an http source, or a cron source", "from", "MF_STANDALONE_SOURCE");
  const outlets: ServiceOutlet[] = [];
  const lines: ServiceLine[] = [];
  for (const [outlet, each] of Object.entries(flow.to)) {
    const place = [...at, "to", outlet];
    if (each.connector === "log") lines.push(lowerLine(outlet, each, place, report));
    else outlets.push(...lowerOutlet(outlet, each, place, report, checkSecret));
  }
  const values = Object.fromEntries(Object.entries(flow.values).map(([key, value]) => [key.replace(/^mayfly-value-/, ""), value]));
  return { name, concurrency: flow.concurrency, queue: flow.queue, routes, outlets, lines, schedules, values };
}

function portOf({ written }: ConfigTemplate, { http }: Pick<GatewayConfig, "http">, target: StandaloneTarget): number {
  const isWritten = (written as { readonly http?: { readonly port?: unknown } }).http?.port !== undefined;
  return isWritten && http.port !== 0 ? http.port : defaultPorts[target];
}

/** Throws a ConfigError that names all problems, for the flows of those names. */
export function lowerService(template: ConfigTemplate, names: readonly string[], target: StandaloneTarget = "microvm"): LoweredService {
  const { check } = template;
  const remarks = refuseSettings(template, names);
  check();
  const config = template.build();
  const auth: ServiceAuth[][] = [];
  const flows = names.map((name) => ({ name, config: config.flows[name] as FlowConfig }));
  const lowered = flows.map((flow) => lowerFlow(flow.name, flow.config, auth, template));
  check();
  return {
    flows: flows.map(({ name, config: flow }) => ({
      name,
      source: flow.flow ?? "",
      limitsOf: ({ manifest }) => limitsOf(flow, manifest.limits).limits,
    })),
    include: config.build.include,
    remarks,
    finish: (images, { manifest, sha256 }) =>
      checkSize({
        name: manifest.name,
        version: manifest.version,
        imageSha256: sha256,
        drainMs: config.drain,
        logLevel: config.log.level,
        port: portOf(template, config, target),
        healthPort: 0,
        syslog: undefined,
        auth,
        flows: lowered.map((part, index) => {
          const image = images[index] as BuiltImage;
          const flow = config.flows[part.name] as FlowConfig;
          checkImage(image, Object.keys(flow.to), `flows.${part.name}.to`);
          return { ...part, limits: limitsOf(flow, image.manifest.limits).limits };
        }),
      }),
  };
}

const everyMethod = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** The service of a flow that no mayfly.yaml names: it gets every request. Throws MF_OUTLET_MISSING. */
export function plainService(image: BuiltImage, target: StandaloneTarget = "microvm"): Service {
  checkImage(image, [], `flows.${image.manifest.name}.to`);
  const route = {
    methods: everyMethod,
    timeoutMs: 0,
    bodyLimit: gatewayLimits.httpBodyBytes,
    auth: undefined,
    idHeader: "idempotency-key",
    fullErrors: false,
  };
  return checkSize({
    name: image.manifest.name,
    version: image.manifest.version,
    imageSha256: image.sha256,
    drainMs: plainDrainMs,
    logLevel: "info",
    port: defaultPorts[target],
    healthPort: 0,
    syslog: undefined,
    auth: [],
    flows: [
      {
        name: image.manifest.name,
        concurrency: gatewayLimits.concurrency,
        queue: gatewayLimits.pendingPerFlow,
        limits: image.manifest.limits,
        routes: [
          { ...route, path: "/" },
          { ...route, path: "/*" },
        ],
        outlets: [],
        lines: [],
        schedules: [],
        values: {},
      },
    ],
  });
}

/** As `drain` of mayfly.yaml. */
const plainDrainMs = 10_000;
