/** Networks, and whom a request is from behind proxies. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { BlockList, isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { Networks, parseNetwork, Proxies, type ProxiesConfig } from "./addresses.ts";

test("networks are written as addresses with a prefix, and nothing else", () => {
  for (const text of ["192.0.2.0/24", "10.0.0.1", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1", "::ffff:192.0.2.0/120", "fe80::/10"])
    ok(parseNetwork(text).ok, text);
  const bad = [
    "",
    "192.0.2.1/24",
    "10.0.0.0/33",
    "::/129",
    "10.0.0",
    "010.0.0.1",
    "example.com",
    "fe80::1%eth0",
    "1.2.3.4/",
    "::ffff:1.2.3.4/90",
  ];
  for (const text of bad) equal(parseNetwork(text).ok, false, text);
});

test("an address is found in its networks however it is written", () => {
  const networks = new Networks(["192.0.2.0/24", "2001:db8::/32", "::1"]);
  for (const text of ["192.0.2.255", "::ffff:192.0.2.7", "::FFFF:c000:207", "2001:DB8:0:0::1", "2001:db8::1%eth0", "0:0:0:0:0:0:0:1"])
    ok(networks.has(text), text);
  for (const text of ["192.0.3.0", "2001:db9::", "::2", "::192.0.2.7", "", "192.0.2", undefined]) ok(!networks.has(text), String(text));
  equal(new Networks([]).has("::1"), false);
});

const ipv6 = fc
  .tuple(...Array.from({ length: 8 }, () => fc.integer({ min: 0, max: 0xffff })))
  .map((groups) => groups.map((g) => g.toString(16)).join(":"));
const ipv4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join("."));

test("an address is in a network of its kind exactly when Node's BlockList says so", () => {
  const pair = fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6));
  fc.assert(
    fc.property(pair, fc.nat(128), ([first, other], bits) => {
      const family = isIPv6(first) ? "ipv6" : "ipv4";
      const prefix = bits % (family === "ipv6" ? 129 : 33);
      const list = new BlockList();
      list.addSubnet(first, prefix, family);
      const networks = new Networks([`${zeroed(first, prefix)}/${prefix}`]);
      deepEqual(
        [first, other].map((address) => networks.has(address)),
        [first, other].map((address) => list.check(address, family)),
      );
    }),
    { numRuns: 500 },
  );
});

function zeroed(address: string, prefix: number): string {
  const parts = isIPv6(address) ? address.split(":").map((group) => Number.parseInt(group, 16)) : address.split(".").map(Number);
  const width = isIPv6(address) ? 16 : 8;
  const kept = parts.map((part, index) => {
    const left = Math.min(Math.max(prefix - index * width, 0), width);
    return part - (part % 2 ** (width - left));
  });
  return isIPv6(address) ? kept.map((part) => part.toString(16)).join(":") : kept.join(".");
}

const from = (header: ProxiesConfig["header"], peer: string, text?: string): string | undefined =>
  new Proxies({ trusted: ["10.0.0.0/8", "::1", "2001:db8:aaaa::/48"], header }).addressOf(
    peer,
    text === undefined ? {} : { [header]: text },
  );

test("X-Forwarded-For: the right-most address that is no trusted proxy's, and only from a trusted proxy", () => {
  const cases: readonly (readonly [peer: string, header: string | undefined, address: string | undefined])[] = [
    ["203.0.113.9", "10.0.0.7", "203.0.113.9"], // a stranger who claims to be inside
    ["10.0.0.1", undefined, "10.0.0.1"],
    ["::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["10.0.0.1", "10.0.0.7, 203.0.113.9", "203.0.113.9"], // the left is the caller's own text
    ["10.0.0.1", "evil, 203.0.113.9, 10.2.0.1", "203.0.113.9"],
    ["10.0.0.1", "203.0.113.9:4711", "203.0.113.9"],
    ["::1", "[2001:db8::5]:443", "2001:db8::5"],
    ["::1", "2001:DB8::5", "2001:db8::5"],
    ["10.0.0.1", "10.0.0.7, 10.0.0.8", "10.0.0.7"], // from inside
    ["10.0.0.1", "unknown, 10.0.0.8", undefined],
    ["10.0.0.1", "203.0.113.9, unknown", undefined],
    ["10.0.0.1", "203.0.113.9,", undefined],
    ["10.0.0.1", "", undefined],
    ["10.0.0.1", "::ffff:10.9.9.9, ::ffff:203.0.113.9", "203.0.113.9"],
  ];
  for (const [peer, header, address] of cases) equal(from("x-forwarded-for", peer, header), address, `${peer} ${header}`);
});

test("Forwarded: the same, with quotes and ports; what is malformed names nobody", () => {
  const cases: readonly (readonly [header: string, address: string | undefined])[] = [
    ["for=203.0.113.9", "203.0.113.9"],
    ['For="[2001:db8::5]:4711";proto=https;by=10.0.0.1', "2001:db8::5"],
    ["for=10.0.0.7, for=203.0.113.9;host=a, for=10.0.0.2", "203.0.113.9"],
    ['for="x, for=10.0.0.7;a=", for=203.0.113.9', "203.0.113.9"],
    ['for="203.0.113.\\9"', "203.0.113.9"],
    ['for=10.0.0.7;x=", for=203.0.113.9', undefined],
    ["for=203.0.113.9;for=10.0.0.7", undefined],
    ["for=_hidden, for=10.0.0.2", undefined],
    ["for=203.0.113.9, proto=https", undefined],
    ["203.0.113.9", undefined],
    ["", undefined],
  ];
  for (const [header, address] of cases) equal(from("forwarded", "10.0.0.1", header), address, header);
  equal(new Proxies({ trusted: ["10.0.0.1"], header: "x-forwarded-for" }).addressOf("10.0.0.1", { forwarded: "for=10.9.9.9" }), "10.0.0.1");
});

test("whatever a caller writes, a proxy that appends the caller's address is believed", () => {
  const text = fc.string({ unit: fc.constantFrom(...'"\\,;= for=10.0.0.7[]:x\t'), maxLength: 40 });
  fc.assert(
    fc.property(text, (forged) => {
      equal(from("x-forwarded-for", "10.0.0.1", `${forged}, 203.0.113.9`), "203.0.113.9");
      ok([undefined, "203.0.113.9"].includes(from("forwarded", "10.0.0.1", `${forged}, for=203.0.113.9`)), forged);
    }),
    { numRuns: 2_000 },
  );
});

test("a long run of blanks in Forwarded takes no more than one look at each: quadratic time would not end here", () => {
  equal(from("forwarded", "10.0.0.1", `for=203.0.113.9;${" ".repeat(1_000_000)}x y`), undefined);
  equal(from("forwarded", "10.0.0.1", `for=203.0.113.9${" ".repeat(1_000_000)};proto=http`), "203.0.113.9");
});
