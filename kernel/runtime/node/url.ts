/** The part `nodeurl`: Node's url. The web's classes are the machine's; the older functions come from the package `url`. */
import * as legacy from "url/";
import { table } from "../table.ts";

interface WebUrl {
  readonly protocol: string;
  readonly hostname: string;
  readonly pathname: string;
  readonly href: string;
}
const globals = globalThis as unknown as { URL: new (text: string, base?: string) => WebUrl; URLSearchParams: unknown };
const { parse, format: formatLegacy, resolve, resolveObject, Url } = legacy as unknown as Record<string, (...values: unknown[]) => unknown>;

interface FormatOptions {
  readonly auth?: boolean;
  readonly fragment?: boolean;
  readonly search?: boolean;
}

function format(given: unknown, options?: FormatOptions): unknown {
  if (!(given instanceof globals.URL)) return formatLegacy!(given);
  const url = new globals.URL(given.href) as unknown as { href: string; username: string; password: string; hash: string; search: string };
  if (options?.auth === false) url.username = url.password = "";
  if (options?.fragment === false) url.hash = "";
  if (options?.search === false) url.search = "";
  return url.href;
}

function fileURLToPath(given: unknown): string {
  const url = typeof given === "string" ? new globals.URL(given) : (given as WebUrl);
  if (url.protocol !== "file:") throw new TypeError("The URL must be of scheme file");
  if (url.hostname !== "") throw new TypeError('File URL host must be "localhost" or empty');
  if (/%2f/i.test(url.pathname)) throw new TypeError("File URL path must not include encoded / characters");
  return decodeURIComponent(url.pathname);
}

const escapes: Readonly<Record<string, string>> = table({
  "%": "%25",
  "\\": "%5C",
  "\n": "%0A",
  "\r": "%0D",
  "\t": "%09",
  "?": "%3F",
  "#": "%23",
});

function pathToFileURL(path: string): WebUrl {
  return new globals.URL(`file://${path.startsWith("/") ? "" : "/"}${path.replace(/[%\\\n\r\t?#]/g, (each) => escapes[each]!)}`);
}

function hostname(domain: string): string {
  try {
    return new globals.URL(`ws://${domain}`).hostname;
  } catch {
    return "";
  }
}

export default {
  parse,
  format,
  resolve,
  resolveObject,
  Url,
  URL: globals.URL,
  URLSearchParams: globals.URLSearchParams,
  fileURLToPath,
  pathToFileURL,
  domainToASCII: hostname,
  urlToHttpOptions(url: Readonly<Record<string, string>>): object {
    const { protocol, hostname: host, hash, search, pathname, href, port, username, password } = url;
    const options: Record<string, unknown> = { protocol, hostname: host, hash, search, pathname, path: `${pathname}${search}`, href };
    if (port !== "") options["port"] = Number(port);
    if (username || password) options["auth"] = `${decodeURIComponent(username!)}:${decodeURIComponent(password!)}`;
    return options;
  },
};
