/**
 * Settings of mayfly.yaml that a standalone service can't carry out. Whatever somebody wrote is in one of these tables, or refused: a new setting of the
 * gateway is no promise of a standalone service before somebody says here that it is kept.
 */
import type { ConfigTemplate, Report } from "#gateway";

type Path = readonly (string | number)[];

/** `true`: a standalone service does it. A text: the reason why it does not, and what to do. */
type Settings = Readonly<Record<string, true | string>>;

const serve = "remove it, or run this flow with `mayfly serve`";
const noJournal = `a standalone service has no journal, and keeps nothing beyond the answer: ${serve}`;
const proxyBefore = "a standalone service speaks plain HTTP: put a proxy before it that does this";

/** Settings without a meaning in a standalone service that promise nothing: they are left out, and said. */
const ignored: Settings = {
  monitor: "a standalone service is its own monitor",
  workers: "a standalone service runs on one processor",
  isolation: "each message has its own machine",
  memory: "`mayfly up --memory` says how much memory a microVM has",
};

const top: Settings = {
  flows: true,
  http: true,
  build: true,
  ceilings: true,
  log: true,
  drain: true,
  journal: noJournal,
  deadLetters:
    "a standalone service keeps no dead letters: the caller is told of a failure. Remove it, or run this flow with `mayfly serve`",
  history: noJournal,
  approvals: `a standalone service has no pages for people: ${serve}`,
  telemetry: `a standalone service has /metrics and its console only: ${serve}`,
  fetch: "flows in a standalone service reach their outlets only: make an outlet of each server",
};

const server: Settings = {
  port: true,
  tls: `${proxyBefore}, and remove it here`,
  proxies: "a standalone service takes the connection's address for the caller's: remove it",
  openapi: "a standalone service serves no documents: remove it",
  connectionsPerAddress: "a standalone service bounds connections by its memory: remove it",
  metrics: "a standalone service serves /metrics on its own port: remove it",
  admin: "a standalone service has no admin endpoints: remove it",
};

const flow: Settings = {
  flow: true,
  image: "a standalone service is built from a flow's source: name that as `flow`",
  from: true,
  to: true,
  values: true,
  limits: true,
  concurrency: true,
  queue: true,
  weight: true,
  retry: true,
  hosts: "flows in a standalone service reach their outlets only: make an outlet of each host",
  key: `messages with a key run in order and share state: ${noJournal}`,
  dedup: `ids are remembered in a journal: ${noJournal}`,
  onDead: `a standalone service keeps no dead letters: ${serve}`,
  keepCredentials: "a standalone service keeps no dead letters: remove it",
  expires: "a standalone service's messages wait for no longer than their caller: remove it",
  claimCheck: noJournal,
  history: noJournal,
  sleep: `sleeping machines are in a journal: ${noJournal}`,
  signals: `sleeping machines are in a journal: ${noJournal}`,
};

const httpSource: Settings = {
  method: true,
  path: true,
  bodyLimit: true,
  idHeader: true,
  errors: true,
  auth: true,
  mode: "`accept` promises that the message is safe, and a standalone service has no journal: use `mode: reply`, or run this flow with `mayfly serve`",
  compress: `${proxyBefore}, and remove it here`,
  cloudevents: "a standalone service unwraps no CloudEvents: remove it, and let the flow read the ce- headers",
  openapi: "a standalone service has no contracts: name the path and the method",
  operation: "a standalone service has no contracts: name the path and the method",
  partial: "a standalone service has no contracts: name the path and the method",
  allow: `${proxyBefore}, and remove it here`,
  cors: `${proxyBefore}, and remove it here`,
  rateLimit: `${proxyBefore}, and remove it here`,
};

/** Values that are as good as no setting. */
const plainValues: Readonly<Record<string, unknown>> = {
  mode: "reply",
  compress: false,
  cloudevents: false,
  missed: "skip",
  algorithm: "sha256",
};

const ways: Settings = {
  bearer: true,
  basic: true,
  apiKey: true,
  hmac: true,
  jwt: true,
  oidc: "a standalone service does not ask an issuer where its keys are: use jwt, with the keys' URL as `jwks`",
  mtls: `a standalone service speaks plain HTTP: use bearer, basic or apiKey, or: ${proxyBefore}`,
};

const hmac: Settings = {
  preset: true,
  secret: true,
  header: true,
  encoding: true,
  prefix: true,
  tolerance: true,
  algorithm: "a standalone service checks signatures with SHA-256 only: use it, or run this flow with `mayfly serve`",
};

const cronSource: Settings = {
  schedule: true,
  timezone: true,
  every: true,
  atStart: true,
  body: true,
  contentType: true,
  missed: `a standalone service does not remember when it ran last: ${serve}`,
};

const logOutlet: Settings = {
  level: true,
  text: true,
  maxBytes: true,
  cloudevents: "a standalone service makes no CloudEvents: remove it",
};

/** Settings of an entry of `to` beside its connector. */
const ofLine: Settings = {
  log: true,
  timeout: "a line of the log takes no time: remove it",
  retry: "a line of the log is written at once: remove it",
};

const outlet: Settings = {
  http: true,
  retry: true,
  timeout: true,
  onDead: `a standalone service keeps no dead letters: ${serve}`,
  concurrency: "a standalone service does not bound the calls of an outlet: remove it, or lower the flow's concurrency",
  rate: `a standalone service does not bound the calls of an outlet: ${serve}`,
  breaker: true,
};

const httpOutlet: Settings = {
  url: true,
  method: true,
  headers: true,
  timeout: true,
  auth: true,
  tls: "a standalone service speaks plain HTTP: name in `url` a proxy that does TLS for it",
  proxy:
    "a standalone service has no proxies of its own: name the proxy in `url`, as http://proxy:port/path, and let it lead to the server",
  cloudevents: "a standalone service makes no CloudEvents: remove it, and let the flow set the ce- headers",
  answerLimit: "a standalone service bounds answers by the machine's memory: remove it",
};

const outletAuth: Settings = {
  bearer: true,
  basic: true,
  apiKey: true,
  digest: "a standalone service has no Digest credentials: use bearer, basic or apiKey",
  oauth2: "a standalone service fetches no tokens: use bearer, basic or apiKey, or a proxy that does it",
  sigv4: "a standalone service signs no requests: use a proxy that does it",
};

type Members = Readonly<Record<string, unknown>>;

function membersOf(value: unknown): Members {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

type Check = (path: Path, value: unknown, known: Settings, code?: string) => Members;

function refuseAuth(auth: unknown, at: Path, check: Check): void {
  const entries: readonly (readonly [place: Path, way: unknown])[] = Array.isArray(auth)
    ? auth.map((each, way) => [[...at, way], each])
    : [[at, auth]];
  for (const [place, each] of entries) {
    const way = check(place, each, ways, "MF_STANDALONE_AUTH");
    check([...place, "hmac"], way["hmac"], hmac, "MF_STANDALONE_AUTH");
  }
}

function refuseFlow(one: Members, at: Path, check: Check, report: Report): void {
  for (const [index, entry] of itemsOf(one["from"]).entries()) {
    const place = [...at, "from", index];
    const { http: source, cron, ...others } = membersOf(entry);
    for (const name of Object.keys(others))
      report(place, `a standalone service has http and cron sources only: ${serve}`, name, "MF_STANDALONE_SOURCE");
    check([...place, "cron"], cron, cronSource, "MF_STANDALONE_SOURCE");
    const settings = check([...place, "http"], source, httpSource, "MF_STANDALONE_SOURCE");
    refuseAuth(settings["auth"], [...place, "http", "auth"], check);
  }
  for (const [name, entry] of Object.entries(membersOf(one["to"]))) {
    const place = [...at, "to", name];
    const settings = membersOf(entry);
    if (settings["log"] !== undefined) {
      check(place, settings, { ...outlet, ...ofLine, http: "an outlet has one connector" }, "MF_STANDALONE_OUTLET");
      check([...place, "log"], settings["log"], logOutlet, "MF_STANDALONE_OUTLET");
      continue;
    }
    if (settings["http"] === undefined) {
      const connector = Object.keys(settings).find((each) => outlet[each] === undefined) ?? "";
      report(place, `a standalone service has http and log outlets only: ${serve}`, connector, "MF_STANDALONE_OUTLET");
      continue;
    }
    check(place, settings, outlet, "MF_STANDALONE_OUTLET");
    const http = check([...place, "http"], settings["http"], httpOutlet, "MF_STANDALONE_OUTLET");
    check([...place, "http", "auth"], http["auth"], outletAuth, "MF_STANDALONE_AUTH");
  }
}

/** Reports what is written for these flows, or for all, and can't be had. Returns sentences on settings that are left out. */
export function refuseSettings(
  { written, report }: Pick<ConfigTemplate, "written" | "report">,
  flows: readonly string[],
): readonly string[] {
  const check: Check = (path, value, known, code = "MF_STANDALONE_SETTING") => {
    const members = membersOf(value);
    for (const [name, setting] of Object.entries(members)) {
      const reason = known[name] ?? `a standalone service does not know it: ${serve}`;
      if (reason !== true && setting !== plainValues[name] && setting !== null) report(path, reason, name, code);
    }
    return members;
  };
  const remarks: string[] = [];
  const remark = (name: string, why: string): number => remarks.push(`${name} does not count in a standalone service: ${why}`);
  const all = membersOf(written);
  for (const [name, why] of Object.entries(ignored)) if (all[name] !== undefined && why !== true) remark(name, why);
  check([], Object.fromEntries(Object.entries(all).filter(([name]) => ignored[name] === undefined)), top);
  const { host, ...http } = membersOf(all["http"]);
  if (host !== undefined)
    remark("http.host", "-p says where it listens: `mayfly up -p ADDRESS:PORT:PORT`, and -p ADDRESS:PORT of a Linux executable");
  check(["http"], http, server);
  const { format } = membersOf(all["log"]);
  if (format !== undefined && format !== "json") remark("log.format", "its console has lines of JSON");

  for (const name of flows) {
    const at = ["flows", name];
    refuseFlow(check(at, membersOf(all["flows"])[name], flow), at, check, report);
  }
  return remarks;
}

/** Values that a standalone service gets from its settings when it starts; others are those of the build. */
export function isLate(path: Path): boolean {
  if (path[0] !== "flows") return false;
  const [, , section, name, connector, setting] = path;
  if (section === "values") return true;
  if (section === "from") return connector === "http" && setting === "auth";
  if (section !== "to" || connector !== "http" || name === undefined) return false;
  return setting === "url" || setting === "headers" || setting === "auth";
}
