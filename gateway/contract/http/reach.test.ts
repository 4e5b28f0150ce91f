/** Addresses that may be connected to: every form of an inner one, and what networks add. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { parseNetwork } from "./addresses.ts";
import { Reach } from "./reach.ts";

const own = (): readonly string[] => ["198.51.100.7", "10.1.2.3", "93.184.216.99", "2a00:1450:4001::99"];
const publicOnly = new Reach([], own);

test("only public addresses are allowed, whatever form an inner one has", () => {
  const refused = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.255",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "93.184.216.99", // of this computer
    "::ffff:93.184.216.99",
    "64:ff9b::93.184.216.99",
    "2a00:1450:4001::99",
    "localhost",
    "",
    "1.2.3",
    "0x7f.0.0.1",
  ];
  deepEqual(
    refused.filter((address) => publicOnly.allows(address)),
    [],
  );
  const allowed = [
    "93.184.216.34",
    "9.255.255.255",
    "11.0.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "223.255.255.255",
  ];
  const allowed6 = ["2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:80b::200e", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"];
  deepEqual(
    [...allowed, ...allowed6].filter((address) => !publicOnly.allows(address)),
    [],
  );
});

test("networks add to the public internet; this computer's addresses count one by one only", () => {
  const reach = new Reach(["10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "127.0.0.5", "2a00:1450:4001::99/128", "0.0.0.0/1"], own);
  for (const address of ["10.9.9.9", "::ffff:10.9.9.9", "64:ff9b::10.9.9.9", "fd12::1", "127.0.0.5", "2a00:1450:4001::99", "93.184.216.34"])
    ok(reach.allows(address), address);
  for (const address of ["10.1.2.3", "127.0.0.1", "0.0.0.0", "fc00::1", "192.168.0.1", "::1"]) equal(reach.allows(address), false, address);
  ok(new Reach(["10.1.2.3/32"], own).allows("10.1.2.3"));
  ok(parseNetwork("127.0.0.5").ok);
});

test("this computer's addresses are those of its interfaces", () => {
  equal(new Reach(["127.0.0.0/8"]).allows("127.0.0.1"), false);
  ok(new Reach(["127.0.0.1"]).allows("127.0.0.1"));
});
