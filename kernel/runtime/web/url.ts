/** The part `url`: URL and URLSearchParams. Linked into images whose flow mentions them, or fetch. */
import { kernel } from "../link.ts";
import { expose } from "./interface.ts";
import { hostText, isSpecial, pathText, UrlParser, type UrlRecord, urlText } from "./url-record.ts";
import { reload, URLSearchParams, useUtf8 } from "./url-search-params.ts";

const utf8 = kernel.utf8;
useUtf8(utf8);
const parser = new UrlParser(utf8);

function parse(url: unknown, base: unknown): UrlRecord | undefined {
  const baseRecord = base === undefined ? undefined : parser.parse(String(base), undefined);
  return base !== undefined && baseRecord === undefined ? undefined : parser.parse(String(url), baseRecord);
}

export class URL {
  #record: UrlRecord;
  #parameters: URLSearchParams | undefined;

  constructor(url: string | URL, base?: string | URL) {
    const record = parse(url, base);
    if (record === undefined) throw Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL", input: String(url) });
    this.#record = record;
  }

  static canParse(url: string | URL, base?: string | URL): boolean {
    return parse(url, base) !== undefined;
  }

  static parse(url: string | URL, base?: string | URL): URL | null {
    return URL.canParse(url, base) ? new URL(url, base) : null;
  }

  get href(): string {
    return urlText(this.#record);
  }

  set href(value: string) {
    const record = parse(value, undefined);
    if (record === undefined) throw new TypeError("Invalid URL");
    this.#record = record;
    this.#reload();
  }

  get origin(): string {
    const { scheme, path } = this.#record;
    if (scheme === "blob") {
      const inner = parse(typeof path === "string" ? path : "", undefined);
      return inner?.scheme === "http" || inner?.scheme === "https" ? `${inner.scheme}://${hostText(inner)}` : "null";
    }
    return isSpecial(scheme) && scheme !== "file" ? `${scheme}://${hostText(this.#record)}` : "null";
  }

  get protocol(): string {
    return `${this.#record.scheme}:`;
  }

  set protocol(value: string) {
    const found = /^([A-Za-z][A-Za-z0-9+.-]*)(?::|$)/.exec(String(value).replace(/[\t\n\r]/g, ""));
    const record = this.#record;
    if (found === null) return;
    const scheme = found[1]!.toLowerCase();
    if (isSpecial(scheme) !== isSpecial(record.scheme)) return;
    if (scheme === "file" && (record.username !== "" || record.password !== "" || record.port !== null)) return;
    if (record.scheme === "file" && record.host === "") return;
    record.scheme = scheme;
    if (record.port !== null) parser.setPort(record, String(record.port));
  }

  /** True if there is a host to which a name, a password or a port could belong. */
  get #hasAuthority(): boolean {
    return this.#record.host !== null && this.#record.host !== "" && this.#record.scheme !== "file";
  }

  get username(): string {
    return this.#record.username;
  }

  set username(value: string) {
    if (this.#hasAuthority) this.#record.username = parser.encodeUser(String(value));
  }

  get password(): string {
    return this.#record.password;
  }

  set password(value: string) {
    if (this.#hasAuthority) this.#record.password = parser.encodeUser(String(value));
  }

  get host(): string {
    return hostText(this.#record);
  }

  set host(value: string) {
    this.#setHost(value, true);
  }

  get hostname(): string {
    return this.#record.host ?? "";
  }

  set hostname(value: string) {
    this.#setHost(value, false);
  }

  /** Host state and file host state of the standard's parser (§4.4), begun by a setter. */
  #setHost(value: string, withPort: boolean): void {
    const record = this.#record;
    if (typeof record.path === "string") return;
    const text = String(value).replace(/[\t\n\r]/g, "");
    const given = text.slice(0, (isSpecial(record.scheme) ? /[/\\?#]|$/ : /[/?#]|$/).exec(text)!.index);
    if (record.scheme === "file") {
      record.host = parser.host(given, "file") ?? record.host;
      return;
    }
    // Brackets hold the colons of an IPv6 address.
    const [, name = "", digits] = /^((?:\[[^\]]*\]?|[^:[])*)(?::(\d*))?/.exec(given)!;
    const hasPort = name.length < given.length;
    if (hasPort && (name === "" || !withPort)) return;
    if (name === "" && (isSpecial(record.scheme) || record.username !== "" || record.password !== "" || record.port !== null)) return;
    const host = parser.host(name, record.scheme);
    if (host === undefined) return;
    record.host = host;
    if (digits !== undefined && digits !== "") parser.setPort(record, digits);
  }

  get port(): string {
    return this.#record.port === null ? "" : String(this.#record.port);
  }

  set port(value: string) {
    if (!this.#hasAuthority) return;
    const text = String(value).replace(/[\t\n\r]/g, "");
    const digits = /^\d*/.exec(text)![0];
    if (digits !== "" || value === "") parser.setPort(this.#record, digits);
  }

  get pathname(): string {
    return pathText(this.#record);
  }

  set pathname(value: string) {
    if (typeof this.#record.path === "string") return;
    this.#record.path = [];
    const text = String(value).replace(/[\t\n\r]/g, "");
    parser.withPath(
      this.#record,
      text.replace(/[?#]/g, (mark) => (mark === "?" ? "%3F" : "%23")),
    );
    // Without a host an empty path would be no path.
    if (this.#record.path.length === 0 && this.#record.host === null) this.#record.path = [""];
  }

  get search(): string {
    const { query } = this.#record;
    return query === null || query === "" ? "" : `?${query}`;
  }

  set search(value: string) {
    const text = String(value).replace(/[\t\n\r]/g, "");
    this.#record.query = text === "" ? null : parser.encodeQuery(text.startsWith("?") ? text.slice(1) : text, this.#record.scheme);
    this.#reload();
  }

  get searchParams(): URLSearchParams {
    if (this.#parameters === undefined) {
      this.#parameters = new URLSearchParams("", (query) => {
        this.#record.query = query === "" ? null : query;
      });
      this.#reload();
    }
    return this.#parameters;
  }

  #reload(): void {
    if (this.#parameters !== undefined) reload(this.#parameters, this.#record.query ?? "");
  }

  get hash(): string {
    const { fragment } = this.#record;
    return fragment === null || fragment === "" ? "" : `#${fragment}`;
  }

  set hash(value: string) {
    const text = String(value).replace(/[\t\n\r]/g, "");
    this.#record.fragment = text === "" ? null : parser.encodeFragment(text.startsWith("#") ? text.slice(1) : text);
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }
}

kernel.onBody((value) =>
  value instanceof URLSearchParams
    ? { bytes: utf8.encode(value.toString()), type: "application/x-www-form-urlencoded;charset=UTF-8" }
    : undefined,
);

expose("URL", URL);
expose("URLSearchParams", URLSearchParams);
