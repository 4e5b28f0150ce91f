/** A message as the journal takes it: its id, its key, and what makes it a duplicate or a contradiction. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import type { Incoming } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import { contradicts } from "../../journal/dedup-id.ts";
import type { NewMessage } from "../../journal/journal.ts";
import { utf8 } from "../../testing/scripted.ts";
import { MessageIds, systemEntropy } from "../seeds.ts";
import { textsOf } from "./keys.ts";
import { untraced } from "../../contract/tracing.ts";
import { expressionsOf, newMessage } from "./message.ts";

const ids = new MessageIds(systemEntropy);

function messageOf(
  more: Partial<Incoming>,
  config: { readonly key?: string; readonly by?: string; readonly expires?: number } = {},
): NewMessage {
  const dedup = { by: config.by, window: 1_000, count: 10 };
  const flow = { name: "f", config: { key: config.key, expires: config.expires, dedup } } as unknown as Flow;
  const incoming: Incoming = { headers: {}, contentType: "", body: utf8("x"), replyWanted: false, keeper: "journal", id: "i", ...more };
  const expressions = expressionsOf(flow);
  const texts = textsOf([expressions.key, expressions.dedup], incoming);
  if (texts instanceof Promise) throw new Error("a short body is read at once");
  return newMessage({ flow, expressions, ids, tracing: untraced, texts }, incoming, { source: "http", place: "POST /f" }, 5);
}

function relation(a: NewMessage, b: NewMessage): string {
  if (a.dedup === undefined || b.dedup === undefined) return "none";
  if (contradicts(a.dedup.id, b.dedup.id)) return "contradiction";
  return a.dedup.id === b.dedup.id ? "duplicate" : "strangers";
}

test("an id that promises the same request contradicts itself with another body, path or query; one that does not is a duplicate", () => {
  const promised = (more: Partial<Incoming> = {}): NewMessage => messageOf({ sameRequest: true, ...more });
  equal(relation(promised(), promised()), "duplicate");
  equal(relation(promised(), promised({ body: utf8("y") })), "contradiction");
  equal(relation(promised(), promised({ headers: { "mayfly-path": "/g" } })), "contradiction");
  equal(relation(promised(), promised({ headers: { "mayfly-query": "a=1" } })), "contradiction");
  equal(relation(messageOf({}), messageOf({ body: utf8("y") })), "duplicate", "a broker promises no such thing");
});

test("a key of the flow's own promises nothing about the rest", () => {
  const by = "header:order";
  const of = (body: string): NewMessage => messageOf({ sameRequest: true, headers: { order: "7" }, body: utf8(body) }, { by });
  equal(relation(of("x"), of("y")), "duplicate");
});

test("ids of two callers are strangers", () => {
  equal(relation(messageOf({ idScope: "a" }), messageOf({ idScope: "b" })), "strangers");
});

test("the flow's key wins over the source's; without an id the gateway makes one", () => {
  equal(messageOf({ key: "source", headers: { k: "flow" } }, { key: "header:k" }).key, "flow");
  equal(messageOf({ key: "source" }).key, "source");
  match(messageOf({ id: undefined }).id, /^mf-/);
  equal(relation(messageOf({ id: undefined }), messageOf({ id: undefined })), "none");
});

test("a message expires a while after it came, where the flow says so", () => {
  deepEqual([messageOf({}).expiresMs, messageOf({}, { expires: 100 }).expiresMs], [undefined, 105]);
});

test("where a message is read on, no sender says", () => {
  const { headers } = messageOf({ headers: { "mayfly-position": '{"offset":9}', a: "b" } });
  deepEqual(headers, { a: "b" });
});
