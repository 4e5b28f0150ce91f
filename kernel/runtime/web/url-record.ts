/**
 * URLs taken apart and put together (URL Standard, §4.4). The standard describes a machine that reads character by character; since
 * `#` ends everything before the fragment, and `?` everything before the query, the same language is read here piece by piece.
 */
import { table } from "../table.ts";
import { parseHost, percentEncode, type Utf8 } from "./url-host.ts";

export interface UrlRecord {
  scheme: string;
  username: string;
  password: string;
  /** null: there is no authority. */
  host: string | null;
  port: number | null;
  /** A text when opaque, as of `mailto:`. */
  path: string[] | string;
  query: string | null;
  fragment: string | null;
}

const defaultPorts: Readonly<Record<string, number | null>> = table({ http: 80, https: 443, ws: 80, wss: 443, ftp: 21, file: null });

export function isSpecial(scheme: string): boolean {
  return Object.hasOwn(defaultPorts, scheme);
}

/** Percent-encode sets of the components (§1.3), as complements. */
const controlSet = /[^\x20-\x7e]/gu;
const fragmentSet = /[^!#-;=?-_a-~]/gu;
const querySet = /[^!$-;=?-~]/gu;
const specialQuerySet = /[^!$-&(-;=?-~]/gu;
const pathSet = /[^!$-;=@-\]_a-z|~]/gu;
const userinfoSet = /[^!$-.0-9A-Z_a-z~]/gu;

const driveLetter = /^[A-Za-z][:|]$/;
const startsWithDrive = /^[A-Za-z][:|](?:[/\\]|$)/;
const singleDot = /^(?:\.|%2e)$/i;
const doubleDot = /^(?:\.|%2e){2}$/i;

export class UrlParser {
  private readonly utf8: Utf8;

  constructor(utf8: Utf8) {
    this.utf8 = utf8;
  }

  /** The record of a URL; undefined if it is malformed. */
  parse(input: string, base: UrlRecord | undefined): UrlRecord | undefined {
    let text = input
      .replace(/\p{Surrogate}/gu, "\ufffd")
      .replace(/^[\0-\x20]+|[\0-\x20]+$/g, "")
      .replace(/[\t\n\r]/g, "");
    let fragment: string | null = null;
    let query: string | null = null;
    const hash = text.indexOf("#");
    if (hash >= 0) {
      fragment = this.encode(text.slice(hash + 1), fragmentSet);
      text = text.slice(0, hash);
    }
    const question = text.indexOf("?");
    if (question >= 0) {
      query = text.slice(question + 1);
      text = text.slice(0, question);
    }
    const url = this.withoutQuery(text, base, query !== null, fragment !== null);
    if (url === undefined) return undefined;
    if (query !== null) url.query = this.encodeQuery(query, url.scheme);
    url.fragment = fragment;
    return url;
  }

  encodeQuery(query: string, scheme: string): string {
    return this.encode(query, isSpecial(scheme) ? specialQuerySet : querySet);
  }

  encodeFragment(fragment: string): string {
    return this.encode(fragment, fragmentSet);
  }

  encodeUser(text: string): string {
    return this.encode(text, userinfoSet);
  }

  private encode(text: string, set: RegExp): string {
    return percentEncode(text, set, this.utf8);
  }

  private withoutQuery(text: string, base: UrlRecord | undefined, hasQuery: boolean, hasFragment: boolean): UrlRecord | undefined {
    const found = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text);
    if (found === null) {
      if (base === undefined) return undefined;
      if (typeof base.path === "string") return text === "" && !hasQuery && hasFragment ? { ...base } : undefined;
      return base.scheme === "file" ? this.file(text, base, hasQuery) : this.relative(text, base, hasQuery);
    }
    const scheme = found[1]!.toLowerCase();
    const rest = text.slice(found[0].length);
    if (scheme === "file") return this.file(rest, base?.scheme === "file" ? base : undefined, hasQuery);
    const url = emptyUrl(scheme);
    if (isSpecial(scheme)) {
      if (base?.scheme === scheme && !rest.startsWith("//")) return this.relative(rest, base, hasQuery);
      return this.authority(url, rest.replace(/^[/\\]+/, ""));
    }
    if (rest.startsWith("//")) return this.authority(url, rest.slice(2));
    if (rest.startsWith("/")) return this.withPath(url, rest);
    url.path = this.encode(rest, controlSet);
    // Without a query and a fragment it would be the end of the URL, and be taken away when that is read again.
    if (hasQuery || hasFragment) url.path = url.path.replace(/ $/, "%20");
    return url;
  }

  private relative(text: string, base: UrlRecord, hasQuery: boolean): UrlRecord | undefined {
    const special = isSpecial(base.scheme);
    const slash = special ? /^[/\\]/ : /^\//;
    if (slash.test(text)) {
      const url = emptyUrl(base.scheme);
      if (slash.test(text.slice(1))) return this.authority(url, special ? text.replace(/^[/\\]+/, "") : text.slice(2));
      return this.withPath(withAuthority(url, base), text);
    }
    return this.belowBase(text, base, hasQuery);
  }

  /** A path that does not begin with a slash. */
  private belowBase(text: string, base: UrlRecord, hasQuery: boolean): UrlRecord {
    const url = withAuthority(emptyUrl(base.scheme), base);
    url.path = [...base.path];
    if (text === "") {
      if (!hasQuery) url.query = base.query;
      return url;
    }
    if (base.scheme === "file" && startsWithDrive.test(text)) url.path = [];
    else shorten(url);
    return this.withPath(url, text);
  }

  private file(text: string, base: UrlRecord | undefined, hasQuery: boolean): UrlRecord | undefined {
    const url = emptyUrl("file");
    url.host = "";
    if (/^[/\\]{2}/.test(text)) return this.fileHost(url, text.slice(2));
    if (/^[/\\]/.test(text)) {
      if (base !== undefined) {
        url.host = base.host;
        if (!startsWithDrive.test(text.slice(1)) && /^[A-Za-z]:$/.test(base.path[0] ?? "")) url.path = [base.path[0]!];
      }
      return this.withPath(url, text);
    }
    return base === undefined ? this.withPath(url, text) : this.belowBase(text, base, hasQuery);
  }

  private fileHost(url: UrlRecord, text: string): UrlRecord | undefined {
    const end = /[/\\]|$/.exec(text)!.index;
    const host = text.slice(0, end);
    if (driveLetter.test(host)) return this.withPath(url, text);
    const parsed = this.host(host, "file");
    if (parsed === undefined) return undefined;
    url.host = parsed;
    return this.withPath(url, text.slice(end));
  }

  private authority(url: UrlRecord, text: string): UrlRecord | undefined {
    const end = (isSpecial(url.scheme) ? /[/\\]|$/ : /\/|$/).exec(text)!.index;
    let host = text.slice(0, end);
    const at = host.lastIndexOf("@");
    if (at >= 0) {
      const userinfo = host.slice(0, at);
      const colon = userinfo.indexOf(":");
      url.username = this.encodeUser(colon < 0 ? userinfo : userinfo.slice(0, colon));
      url.password = colon < 0 ? "" : this.encodeUser(userinfo.slice(colon + 1));
      host = host.slice(at + 1);
      if (host === "") return undefined;
    }
    return this.setHost(url, host) ? this.withPath(url, text.slice(end)) : undefined;
  }

  /** Reads `host:port` into a record; false if it is malformed. */
  setHost(url: UrlRecord, text: string): boolean {
    const colon = text.lastIndexOf(":");
    const hasPort = colon >= 0 && !text.slice(colon).includes("]");
    const name = hasPort ? text.slice(0, colon) : text;
    if (name === "" && (hasPort || isSpecial(url.scheme))) return false;
    const host = this.host(name, url.scheme);
    if (host === undefined) return false;
    if (hasPort && !this.setPort(url, text.slice(colon + 1))) return false;
    url.host = host;
    return true;
  }

  /** A host in the form of that scheme's URLs; undefined if it is malformed. */
  host(name: string, scheme: string): string | undefined {
    const host = name === "" ? "" : parseHost(name, isSpecial(scheme), this.utf8);
    return scheme === "file" && host === "localhost" ? "" : host;
  }

  setPort(url: UrlRecord, text: string): boolean {
    if (!/^[0-9]*$/.test(text) || Number(text) > 65_535) return false;
    url.port = text === "" || Number(text) === defaultPorts[url.scheme] ? null : Number(text);
    return true;
  }

  /** Appends a path to what `url.path` has, dot segments resolved. */
  withPath(url: UrlRecord, text: string): UrlRecord {
    const special = isSpecial(url.scheme);
    if (text === "" && !special) return url;
    const path = url.path as string[];
    const segments = (special ? /^[/\\]/ : /^\//).test(text)
      ? text.slice(1).split(special ? /[/\\]/ : "/")
      : text.split(special ? /[/\\]/ : "/");
    for (let index = 0; index < segments.length; index++) {
      const segment = segments[index]!;
      const isLast = index === segments.length - 1;
      if (doubleDot.test(segment)) {
        shorten(url);
        if (isLast) path.push("");
      } else if (singleDot.test(segment)) {
        if (isLast) path.push("");
      } else if (url.scheme === "file" && path.length === 0 && driveLetter.test(segment)) path.push(`${segment[0]!}:`);
      else path.push(this.encode(segment, pathSet));
    }
    return url;
  }
}

function emptyUrl(scheme: string): UrlRecord {
  return { scheme, username: "", password: "", host: null, port: null, path: [], query: null, fragment: null };
}

function withAuthority(url: UrlRecord, base: UrlRecord): UrlRecord {
  url.username = base.username;
  url.password = base.password;
  url.host = base.host;
  url.port = base.port;
  return url;
}

/** Takes the last segment away; a drive letter stays. */
function shorten(url: UrlRecord): void {
  const path = url.path as string[];
  if (url.scheme === "file" && path.length === 1 && /^[A-Za-z]:$/.test(path[0]!)) return;
  path.pop();
}

export function pathText(url: UrlRecord): string {
  if (typeof url.path === "string") return url.path;
  return url.path.length === 0 ? "" : `/${url.path.join("/")}`;
}

export function hostText(url: UrlRecord): string {
  return url.port === null ? (url.host ?? "") : `${url.host ?? ""}:${url.port}`;
}

/** The URL as text. */
export function urlText(url: UrlRecord): string {
  let text = `${url.scheme}:`;
  if (url.host !== null) {
    text += "//";
    if (url.username !== "" || url.password !== "") text += `${url.username}${url.password === "" ? "" : `:${url.password}`}@`;
    text += hostText(url);
  } else if (typeof url.path !== "string" && url.path.length > 1 && url.path[0] === "") text += "/.";
  text += pathText(url);
  if (url.query !== null) text += `?${url.query}`;
  return url.fragment === null ? text : `${text}#${url.fragment}`;
}
