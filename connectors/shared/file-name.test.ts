/** Names of files made of a template and a message's values. */
import { equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nameTemplate } from "./file-name.ts";
import { attempt, message } from "../testing/messages.ts";

/** Every two of these differ, and so must the names made of them, in every template. */
const names = [
  "注文", "発注", "Größe", "Grüße", "a/b", "a b", "a:b", "a_b", "order 12 3", "order 123", "order_12_3", "none", "", ".", "..", "_", "__", ".a", "_a",
  "x".repeat(120), "x".repeat(121), `${"x".repeat(200)}1`, `${"x".repeat(200)}2`, "é", "e\u0301", "a-b", "a", "b-c", "a-b-c", "a~b", "~", "A", "\0",
]; // biome-ignore format: a table

test("different values give different names, also long ones, absent ones and those with the template's separators in them", () => {
  for (const text of [
    "{key}",
    "{key}-{message}",
    "{message}{key}",
    "{key}.{header:x-a}-{message}",
    "{date}/{key}/{message}.json",
    "{hour}-{key}",
  ]) {
    const template = nameTemplate(text);
    ok(template.ok);
    const made = new Map<string, string>();
    for (const key of [undefined, ...names])
      for (const id of text.includes("message") ? names : ["m"]) {
        const name = template.value({ ...message, key, messageId: id, headers: { "x-a": "h" } }, attempt.idempotencyKey);
        const what = JSON.stringify([key ?? null, id]);
        equal(made.get(name), undefined, `${text}: ${what} and ${made.get(name)} are both ${name}`);
        made.set(name, what);
        for (const part of name.split("/")) ok(Buffer.byteLength(part) <= 240, name);
      }
  }
  const plain = nameTemplate("{key}.json");
  ok(plain.ok);
  equal(plain.value({ ...message, key: "order-17_b.x" }, attempt.idempotencyKey), "order-17_b.x.json", "what can stand as it is does");
  const separated = nameTemplate("{key}-{message}");
  ok(separated.ok);
  equal(separated.value({ ...message, key: "7" }, attempt.idempotencyKey), "7-m1");
  const fixed = nameTemplate("{flow}{outlet}{date}{hour}{key}");
  ok(fixed.ok);
  equal(fixed.value({ ...message, key: "7" }, attempt.idempotencyKey), "ordersout2026-11-23087", "values of one length need no separator");
});

test("no value leads out of a template's folder", () => {
  const template = nameTemplate("{date}/{key}-{header:x-a}-{header:missing}-{message}");
  ok(template.ok);
  const parts = fc.oneof(fc.string(), fc.constantFrom("..", "..", "/etc/passwd", "a/../../b", "\0", "C:\\x", ".hidden", "%2e%2e%2f"));
  fc.assert(
    fc.property(parts, parts, parts, (key, header, id) => {
      const name = template.value({ ...message, key, headers: { "x-a": header }, messageId: id }, attempt.idempotencyKey);
      const [date, rest, ...more] = name.split("/");
      equal(more.length, 0);
      equal(date, "2026-11-23");
      match(rest ?? "", /^[A-Za-z0-9_-][A-Za-z0-9._~-]*$/);
    }),
  );
  for (const bad of ["/etc/{id}", "../{id}", "a/../{id}", "a//b", "{nonsense}", "a/", "./a"]) equal(nameTemplate(bad).ok, false, bad);
});
