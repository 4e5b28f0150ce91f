/** Links of questions: nobody makes one but the gateway, and each is of one question. */
import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { OpenWait, Sleeper } from "../contract/sleep.ts";
import { type AskedQuestion, questionSends } from "../delivery/sleep/questions.ts";
import { systemEntropy } from "../delivery/seeds.ts";
import { text } from "../testing/scripted.ts";
import { approvalKey } from "./key.ts";
import { Links, tagOf } from "./links.ts";

const wait: OpenWait = {
  wait: 3,
  name: "approval",
  key: "m/3",
  dueMs: undefined,
  questionJson: '{"question":"Pay?","options":["yes","no"],"to":"mail"}',
};
const asked: AskedQuestion = {
  flow: "orders",
  id: "m-1/ü",
  wait,
  question: { question: "Pay?", options: ["yes", "no"], to: "mail" },
  untilMs: 1_800_000_000_000,
};
const key = new Uint8Array(32).fill(7);
const links = new Links(() => "https://mayfly.example.com/base/", key);

test("a link says which question of which machine it is, until when, and begins with the gateway's URL", () => {
  const link = links.linkTo(asked) ?? "";
  ok(link.startsWith("https://mayfly.example.com/base/approve/"), link);
  const { use, ...read } = links.read(link.slice(link.lastIndexOf("/") + 1)) ?? { use: "" };
  deepEqual(read, { flow: "orders", id: "m-1/ü", wait: 3, untilMs: 1_800_000_000_000, tag: tagOf(wait) });
  ok(use.length > 40);
  equal(new Links(() => undefined, key).linkTo(asked), undefined);
  notEqual(tagOf(wait), tagOf({ ...wait, questionJson: "{}" }));
});

test("no link of another key, and none that was changed in any character, is read", () => {
  const token = links.tokenOf(asked);
  equal(new Links(() => undefined, new Uint8Array(32).fill(8)).read(token), undefined);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  for (let at = 0; at < token.length; at += 1)
    for (const letter of letters)
      if (letter !== token[at]) equal(links.read(token.slice(0, at) + letter + token.slice(at + 1)), undefined, `${letter} at ${at}`);
  for (const odd of ["", ".", "..", token.slice(0, -1), `${token}A`, `${token}.`, `.${token}`, token.replace(".", ""), "A".repeat(100_000)])
    equal(links.read(odd), undefined);
});

test("whatever is given for a token, reading it ends", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (token) => links.read(token) === undefined));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), (payload, mac) => {
      const token = `${Buffer.from(payload).toString("base64url")}.${Buffer.from(mac).toString("base64url")}`;
      return links.read(token) === undefined;
    }),
  );
});

test("the key is made once, for its owner only; a damaged one is not replaced silently", () => {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-key-"));
  try {
    const made = approvalKey(join(folder, "journal"), systemEntropy);
    const path = join(folder, "journal", "approvals.key");
    deepEqual([...approvalKey(join(folder, "journal"), systemEntropy)], [...made]);
    deepEqual([...readFileSync(path)], [...made]);
    equal(statSync(path).mode & 0o777, 0o600);
    deepEqual(readdirSync(join(folder, "journal")), ["approvals.key"]);
    writeFileSync(path, "short");
    throws(() => approvalKey(join(folder, "journal"), systemEntropy), { code: "MF_APPROVAL_KEY" });
    writeFileSync(join(folder, "file"), "");
    throws(() => approvalKey(join(folder, "file"), systemEntropy), { code: "MF_APPROVAL_KEY" });
    notEqual(Buffer.from(approvalKey(undefined, systemEntropy)).toString("hex"), "0".repeat(64));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a question goes to its outlet once, with its link; without a URL or an outlet the attempt fails with what to do", () => {
  const now = {
    waits: [wait, { ...wait, wait: 4, questionJson: '{"question":"Silent?","options":["ok"]}' }],
    sinceMs: 0,
  } as unknown as Sleeper;
  const asleep = {
    flow: { name: "orders", outlets: ["mail"], sleepMostMs: 1000 },
    message: { id: "m-1", key: "k" },
    before: undefined,
    now,
  };
  const sends = questionSends(asleep, links);
  ok(!("code" in sends));
  deepEqual(
    sends.map(({ outlet, key: sentKey, contentType }) => [outlet, sentKey, contentType]),
    [["mail", "k", "application/json"]],
  );
  const { link, ...told } = JSON.parse(text(sends[0]?.body ?? new Uint8Array())) as { link: string };
  deepEqual(told, { question: "Pay?", options: ["yes", "no"], flow: "orders", id: "m-1", until: "1970-01-01T00:00:01.000Z" });
  equal(links.read(link.slice(link.lastIndexOf("/") + 1))?.wait, 3);
  deepEqual(questionSends({ ...asleep, before: now }, links), [], "it sleeps on, and was told already");
  const code = (found: ReturnType<typeof questionSends>): unknown => ("code" in found ? found.code : found);
  equal(code(questionSends({ ...asleep, flow: { ...asleep.flow, outlets: [] } }, links)), "MF_OUTLET_UNKNOWN");
  equal(code(questionSends(asleep, new Links(() => undefined, key))), "MF_APPROVAL_URL");
});
