/** IP addresses and networks, and the address of who sent a request that may have come through proxies. Pure. */
import type { IncomingHttpHeaders } from "node:http";
import { isIPv4, isIPv6 } from "node:net";
import { err, ok, type Result } from "#base";

/** An address as its bits. An IPv4 address mapped into IPv6 (RFC 4291, 2.5.5.2) is the IPv4 address. */
export interface Address {
  readonly width: 32 | 128;
  readonly bits: bigint;
}

function bitsOf(numbers: readonly number[], width: bigint): bigint {
  return numbers.reduce((bits, each) => (bits << width) | BigInt(each), 0n);
}

function ipv4Bits(text: string): bigint {
  return bitsOf(text.split(".").map(Number), 8n);
}

/** Eight groups of 16 bits, of which `::` stands for those that are missing; the last two may be written as an IPv4 address. */
function ipv6Bits(text: string): bigint {
  const groups = (part: string): number[] =>
    part === ""
      ? []
      : part.split(":").flatMap((group) => {
          if (!group.includes(".")) return [Number.parseInt(group, 16)];
          const bits = Number(ipv4Bits(group));
          return [Math.floor(bits / 65_536), bits % 65_536];
        });
  const [front = "", back] = text.split("::");
  const [before, after] = [groups(front), groups(back ?? "")];
  return bitsOf([...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after], 16n);
}

const mappedPrefix = 0xffffn;

/** Undefined for what is no address; a zone is left out. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { width: 32, bits: ipv4Bits(text) };
  const plain = text.replace(/%.*$/s, "");
  if (!isIPv6(plain)) return undefined;
  const bits = ipv6Bits(plain);
  return bits >> 32n === mappedPrefix ? { width: 32, bits: bits & 0xffffffffn } : { width: 128, bits };
}

/** An address in the one form that an allow list and a count know: without a zone, and a mapped one as IPv4. */
function plainAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  if (address.width === 128) return text.replace(/%.*$/s, "").toLowerCase();
  return [24n, 16n, 8n, 0n].map((shift) => (address.bits >> shift) & 255n).join(".");
}

interface Network extends Address {
  /** Bits that count, from the first. */
  readonly prefix: number;
}

/** `192.0.2.0/24`, `2001:db8::/32`, or an address alone. */
export function parseNetwork(text: string): Result<Network, string> {
  const [, host = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(host);
  if (address === undefined || host.includes("%")) return err("must be an IP address or a network such as 192.0.2.0/24 or 2001:db8::/32");
  const prefix = length === undefined ? address.width : Number(length) - (isIPv6(host) && address.width === 32 ? 96 : 0);
  if (prefix < 0 || prefix > address.width) return err(`has a prefix of ${length} bits: an address like this has at most ${address.width}`);
  const rest = BigInt(address.width - prefix);
  if ((address.bits >> rest) << rest !== address.bits) return err(`has bits beyond its prefix: write the network's first address`);
  return ok({ ...address, prefix });
}

export class Networks {
  readonly #networks: readonly Network[];

  /** `texts` have been checked by `parseNetwork`. */
  constructor(texts: readonly string[]) {
    this.#networks = texts.flatMap((text) => {
      const network = parseNetwork(text);
      return network.ok ? [network.value] : [];
    });
  }

  /** False for undefined, and for what is no address. */
  has(text: string | undefined): boolean {
    const address = text === undefined ? undefined : parseAddress(text);
    if (address === undefined) return false;
    return this.#networks.some(({ width, bits, prefix }) => {
      const rest = BigInt(width - prefix);
      return width === address.width && bits >> rest === address.bits >> rest;
    });
  }
}

export interface ProxiesConfig {
  /** Networks of the proxies that are believed. */
  readonly trusted: readonly string[];
  /** The one header they write; any other is whatever the caller likes. */
  readonly header: "x-forwarded-for" | "forwarded";
}

/** The address of a node (RFC 7239, 6), which may have a port: `192.0.2.1:80`, `[2001:db8::1]:80`. */
function nodeAddress(node: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(node)?.[1] ?? (/^[\d.]+:\d{1,5}$/.test(node) ? node.slice(0, node.indexOf(":")) : node);
  return plainAddress(bare);
}

/** Blanks are matched in one way only: two ways take quadratic time, of which a caller would choose the length. */
const forwardedPair = /[\t ]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;\\]+))[\t ]*)?([,;]|$)/y;

/** `for` of each element of a Forwarded header (RFC 7239, 4), "" for an element without one; undefined for a malformed header. */
function forwardedFor(header: string): string[] | undefined {
  const hops: string[] = [];
  let hop: string | undefined;
  forwardedPair.lastIndex = 0;
  for (;;) {
    const found = forwardedPair.exec(header);
    if (found === null) return undefined;
    const [, name = "", quoted, token = "", separator] = found;
    if (name.toLowerCase() === "for") {
      if (hop !== undefined) return undefined; // two readers could take either
      hop = quoted === undefined ? token : quoted.replace(/\\(.)/g, "$1");
    }
    if (separator === ";") continue;
    hops.push(hop ?? "");
    hop = undefined;
    if (separator === "") return hops;
  }
}

/** Proxies before the gateway, and what may be believed of whom they name. */
export class Proxies {
  readonly #trusted: Networks;
  readonly #header: ProxiesConfig["header"];

  constructor({ trusted, header }: ProxiesConfig) {
    this.#trusted = new Networks(trusted);
    this.#header = header;
  }

  /**
   * The right-most address that no trusted proxy has: what stands to the left of it anybody may have written. Undefined where a trusted
   * proxy names somebody that is no address. `peer`: address of the connection.
   */
  addressOf(peer: string | undefined, headers: IncomingHttpHeaders): string | undefined {
    const own = peer === undefined ? undefined : plainAddress(peer);
    const given = headers[this.#header];
    if (given === undefined || !this.#trusted.has(own)) return own;
    const text = Array.isArray(given) ? given.join(",") : given;
    const hops = this.#header === "forwarded" ? forwardedFor(text) : text.split(",").map((hop) => hop.trim());
    if (hops === undefined) return undefined;
    for (const hop of hops.reverse()) {
      const address = nodeAddress(hop);
      if (address === undefined || !this.#trusted.has(address)) return address;
    }
    return nodeAddress(hops.at(-1) ?? "");
  }
}
