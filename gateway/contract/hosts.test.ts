import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { isDeclared, parseHost } from "./hosts.ts";

test("hosts are declared by name, port and wildcard, for http and https alone", () => {
  const patterns = ["api.example.com", "*.internal.example", "localhost:8080", "[::1]:90"].flatMap((text) => {
    const parsed = parseHost(text);
    return parsed.ok ? [parsed.value] : [];
  });
  const yes = [
    "https://api.example.com/x",
    "http://API.example.com",
    "https://a.b.internal.example",
    "http://localhost:8080/",
    "http://[::1]:90/",
  ];
  const no = [
    "https://api.example.com:8443",
    "https://internal.example",
    "https://evilapi.example.com",
    "https://api.example.com.evil",
    "http://localhost",
    "ftp://api.example.com",
    "https://x@evil.example/",
    "http://127.0.0.1:8080",
  ];
  deepEqual(
    yes.map((url) => isDeclared(new URL(url), patterns)),
    yes.map(() => true),
  );
  deepEqual(
    no.map((url) => isDeclared(new URL(url), patterns)),
    no.map(() => false),
  );
  for (const bad of ["https://a", "a/b", "*", "*.", "a:b", "a b", ""]) equal(parseHost(bad).ok, false, bad);
});
