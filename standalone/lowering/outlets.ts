/** Outlets of mayfly.yaml → outlets of a service. */
import type { ServiceLine, ServiceOutlet } from "#abi";
import type { OutletConfig, Report } from "#gateway";
import { standaloneLimits } from "../limits.ts";

type Path = readonly (string | number)[];

/** The part of an http outlet's settings that a standalone service has. */
interface HttpOutlet {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth?: {
    readonly bearer?: string;
    readonly basic?: string;
    readonly apiKey?: { readonly header: string; readonly key: string };
  };
}

export type SecretCheck = (text: string, path: Path) => void;

const https =
  "a standalone service does no TLS: name a proxy that does, as http://proxy:port/path, and let it lead to the server, or run this flow with `mayfly serve`";

/** Headers that are secret in every request. */
const secretHeaders = /^(authorization|proxy-authorization|cookie|x-api-key|.*(token|secret|password).*)$/;

type Place = Pick<ServiceOutlet, "host" | "port" | "path" | "basic">;

/** A reference in front of the path: what host and port are is known once the settings are. */
function placeOf(url: string, report: (message: string, code: string) => void, secret: (text: string) => void): Place | undefined {
  if (/^https:/i.test(url)) return void report(https, "MF_STANDALONE_HTTPS");
  const origin = /^http:\/\/([^/?#$]*)(?=$|[/?#])/i.exec(url);
  if (origin === null && url.includes("${")) return { host: url, port: 0, path: "", basic: undefined };
  // References in path and query are no characters that a URL may have.
  const rest = origin === null ? "" : url.slice(origin[0].length).replace(/#.*$/, "");
  if (origin === null || !URL.canParse(origin[0])) return void report("must be a URL such as http://erp:8000/orders", "MF_URL_INVALID");
  const { hostname, port, username, password } = new URL(origin[0]);
  if (hostname.startsWith("["))
    return void report("a standalone service has IPv4 only: write a name or an IPv4 address", "MF_STANDALONE_SETTING");
  const basic = username === "" && password === "" ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  if (basic !== undefined) secret(basic);
  if (/[^\x21-\x7e]/.test(rest)) return void report("path and query must be percent-encoded", "MF_URL_INVALID");
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return { host: hostname, port: port === "" ? 80 : Number(port), path, basic };
}

export function lowerOutlet(
  name: string,
  outlet: OutletConfig,
  path: Path,
  report: Report,
  checkSecret: SecretCheck,
): readonly ServiceOutlet[] {
  const { url, method, headers, auth = {} } = outlet.config as HttpOutlet;
  const at = [...path, "http"];
  const place = placeOf(
    url,
    (message, code) => report([...at, "url"], message, undefined, code),
    (text) => checkSecret(text, [...at, "url"]),
  );
  for (const [header, value] of Object.entries(headers)) if (secretHeaders.test(header)) checkSecret(value, [...at, "headers", header]);
  const own: Record<string, string> = { ...headers };
  if (auth.bearer !== undefined) own["authorization"] = `Bearer ${auth.bearer}`;
  if (auth.apiKey !== undefined) own[auth.apiKey.header] = auth.apiKey.key;
  for (const [way, text] of [
    ["bearer", auth.bearer],
    ["basic", auth.basic],
    ["apiKey", auth.apiKey?.key],
  ] as const)
    if (text !== undefined) checkSecret(text, [...at, "auth", way, ...(way === "apiKey" ? ["key"] : [])]);
  if (place === undefined) return [];
  const { attempts, backoff, age } = outlet.retry;
  return [
    {
      ...place,
      name,
      scheme: "http",
      method,
      timeoutMs: outlet.timeout,
      attempts,
      backoffMs: { least: backoff.least, most: backoff.most },
      retryAgeMs: age,
      basic: auth.basic ?? place.basic,
      breaker: outlet.breaker === undefined ? undefined : { failures: outlet.breaker.failures, pauseMs: outlet.breaker.pause },
      headers: own,
    },
  ];
}

interface LogOutlet {
  readonly level: ServiceLine["level"];
  readonly text: string;
  readonly maxBytes: number;
}

/** An outlet into the log. */
export function lowerLine(name: string, { config }: OutletConfig, path: Path, report: Report): ServiceLine {
  const { level, text, maxBytes } = config as LogOutlet;
  if (maxBytes > standaloneLimits.lineBytes)
    report(
      [...path, "log"],
      `a line of a standalone service shows ${standaloneLimits.lineBytes} bytes of a body at most: write that, or less`,
      "maxBytes",
      "MF_STANDALONE_OUTLET",
    );
  return { name, level, text, maxBytes };
}
