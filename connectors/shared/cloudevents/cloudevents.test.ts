/** CloudEvents both ways: against recorded events of another implementation, and byte for byte through every connector's prefix. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { headerText, type HeaderValue } from "#abi";
import type { Outgoing } from "../../../gateway/contract/message.ts";
import { emitCloudEvent } from "./write.ts";
import { parseCloudEvent } from "./read.ts";
import { incomingOf, sendableOf } from "../wire.ts";
import { attemptOf, outgoing } from "../../testing/rig.ts";

const json = (value: unknown, more: Partial<Outgoing> = {}): Outgoing =>
  outgoing(JSON.stringify(value), { contentType: "application/json", ...more });
const text = (body: Uint8Array): string => Buffer.from(body).toString("utf8");

describe("cloudevents: what we emit", () => {
  const message = json(
    { id: 7 },
    { key: "customer 7", headers: { "ce-type": "order.made", "ce-subject": "größe 50%", "x-tenant": "acme" } },
  );
  const time = new Date(message.timeMs).toISOString();

  test("binary: attributes as headers, percent-encoded as the HTTP binding says (3.1.3.2)", () => {
    const { headers, contentType, body } = emitCloudEvent(message, "id-1", { mode: "binary", source: "/shop" });
    assert.deepEqual(headers, {
      "ce-specversion": "1.0",
      "ce-id": "id-1",
      "ce-source": "/shop",
      "ce-type": "order.made",
      "ce-time": time,
      "ce-partitionkey": "customer%207",
      "ce-subject": "gr%C3%B6%C3%9Fe%2050%25",
      "x-tenant": "acme",
    });
    assert.deepEqual([contentType, text(body)], ["application/json", `{"id":7}`]);
    const parsed = parseCloudEvent({ headers, contentType, body });
    assert.deepEqual([parsed?.headers["ce-subject"], parsed?.key, parsed?.id], ["größe 50%", "customer 7", "/shop id-1"]);
  });

  test("structured: one JSON object, the data as it is", () => {
    const { headers, contentType, body } = emitCloudEvent(message, "id-1", { mode: "structured", source: "/shop" });
    assert.deepEqual([headers, contentType], [{ "x-tenant": "acme" }, "application/cloudevents+json; charset=utf-8"]);
    assert.deepEqual(JSON.parse(text(body)), {
      specversion: "1.0",
      id: "id-1",
      source: "/shop",
      type: "order.made",
      time,
      partitionkey: "customer 7",
      subject: "größe 50%",
      datacontenttype: "application/json",
      data: { id: 7 },
    });
  });
});

describe("cloudevents: what others emit (recorded from npm's cloudevents 10.0.0)", () => {
  const structured = `{"id":"1","time":"2026-01-02T03:04:05.000Z","type":"t","source":"/erp","specversion":"1.0","datacontenttype":"application/json","subject":"s","data":{"a":[1]},"partitionkey":"k"}`;
  const binary = {
    "ce-id": "1",
    "ce-time": "2026-01-02T03:04:05.000Z",
    "ce-type": "t",
    "ce-source": "/erp",
    "ce-specversion": "1.0",
    "ce-subject": "s",
    "ce-partitionkey": "k",
  };
  const recorded = [
    ["binary", { headers: binary, contentType: "application/json", body: Buffer.from(`{"a":[1]}`) }],
    ["structured", { headers: {}, contentType: "application/cloudevents+json; charset=utf-8", body: Buffer.from(structured) }],
  ] as const;
  for (const [mode, parts] of recorded) {
    test(mode, () => {
      const parsed = parseCloudEvent(parts);
      assert.deepEqual([parsed?.id, parsed?.key, parsed?.contentType], ["/erp 1", "k", "application/json"]);
      assert.deepEqual(parsed?.headers, binary);
      assert.equal(text(parsed?.body ?? new Uint8Array()), `{"a":[1]}`);
    });
  }
});

describe("cloudevents: bytes and mistakes", () => {
  test("JSON data keeps its digits, bytes keep their values, in both modes and over every prefix", () => {
    const precise = outgoing(`{"n":12345678901234567890.10,  "b":1}`, { contentType: "application/json" });
    const bytes = outgoing(
      Uint8Array.from({ length: 256 }, (_, index) => index),
      { contentType: "image/x" },
    );
    for (const mode of ["binary", "structured"] as const) {
      for (const prefix of ["ce-", "cloudEvents:", ""]) {
        for (const message of [precise, bytes]) {
          const { headers, contentType, body } = sendableOf(message, attemptOf("id-1"), { mode }, prefix);
          const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
          const incoming = incomingOf({ headers: lower, contentType, body }, { prefixes: [prefix] });
          assert.equal(incoming.id, "/mayfly/sender id-1");
          assert.equal(incoming.headers["ce-type"], "mayfly.sender.out");
          assert.equal(incoming.contentType, message.contentType);
          assert.deepEqual(Buffer.from(incoming.body), Buffer.from(message.body));
        }
      }
    }
    // Bytes that are not UTF-8 would be changed by being put into a text.
    const latin1 = { ...precise, contentType: "application/json", body: Uint8Array.from(Buffer.from('{"a":"M\xfcller"}', "latin1")) };
    const event = JSON.parse(text(emitCloudEvent(latin1, "i", { mode: "structured" }).body)) as { readonly data_base64?: string };
    assert.deepEqual(Buffer.from(event.data_base64 ?? "", "base64"), Buffer.from(latin1.body));
    assert.ok(text(emitCloudEvent(precise, "i", { mode: "structured" }).body).includes("12345678901234567890.10"));
  });

  const broken: readonly (readonly [string, string])[] = [
    ["{", "the body is not JSON in UTF-8"],
    ["[]", "not a JSON object"],
    [`{"specversion":"1.0","id":"a\\u0000b","source":"s","type":"t"}`, "contains a control character"],
    [`{"specversion":"1.0","id":"1","source":"s","type":"t","x":"a\\nb"}`, "contains a control character"],
    [`{"specversion":"0.3","id":"1","source":"s","type":"t"}`, "is not 1.x"],
    [`{"specversion":"1.0","source":"s","type":"t"}`, "id is missing"],
    [`{"specversion":"1.0","id":"1","source":"s","type":"t","Upper":"x"}`, "not an attribute name"],
    [`{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"data_base64":"AA=="}`, "both data and data_base64"],
    [`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"*"}`, "not base64"],
    ...["A", "AAA", "AAAAA=", "A===", "AA==AA=="].map(
      (data) => [`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"${data}"}`, "not base64"] as const,
    ),
    [`{"specversion":"1.0","id":"1","source":"s","type":"t","x":{}}`, "is not text"],
    [`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":{"toString":1}}`, "is not text"],
    [
      `{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
      "is not text",
    ],
  ];
  for (const [body, why] of broken) {
    test(`refuses: ${why}`, () => {
      const parts = { headers: {}, contentType: "application/cloudevents+json", body: Buffer.from(body) };
      assert.throws(() => parseCloudEvent(parts), { code: "MF_CLOUDEVENT", message: new RegExp(why.replace(/[.]/g, "\\.")) });
      const incoming = incomingOf({ headers: {}, contentType: parts.contentType, body: parts.body }, { prefixes: ["ce-"] });
      assert.equal(text(incoming.body), body, "a broker's message is passed on as it is, for the flow to judge");
      assert.match(headerText(incoming.headers["mayfly-error"]) ?? "", /not a CloudEvent/);
    });
  }

  test("structured data is kept byte for byte, whatever it holds and wherever it stands", () => {
    const start = `"specversion":"1.0","id":"1","source":"s","type":"t"`;
    for (const data of [
      "12345678901234567890.10",
      "1E400",
      "-0.0",
      "null ",
      "true",
      `"a\\u0041\\"}, {"`,
      `{ "a" : [1.0, {"data": 2, "b}": "]"}] , "a": 1e2 }`,
      `[ "\\\\", "\\"" ]`,
      `{}`,
      `"größe \u2028 😀"`,
    ])
      for (const document of [
        `{${start},"data":${data}}`,
        ` { "data" : ${data} , ${start} } `,
        `\ufeff{"data":1,${start},"d\\u0061ta":${data}}`,
      ]) {
        const parsed = parseCloudEvent({ headers: {}, contentType: "application/cloudevents+json", body: Buffer.from(document) });
        assert.equal(text(parsed?.body ?? new Uint8Array()), data.trim(), document);
      }
    const counted = `{${start},"sequence":12345678901234567890,"exact":1.50,"data":"plain","datacontenttype":"text/plain"}`;
    const parsed = parseCloudEvent({ headers: {}, contentType: "application/cloudevents+json", body: Buffer.from(counted) });
    assert.deepEqual(
      [parsed?.headers["ce-sequence"], parsed?.headers["ce-exact"], text(parsed?.body ?? new Uint8Array())],
      ["12345678901234567890", "1.50", "plain"],
    );
    const latin1 = Buffer.from(`{${start},"data":"M\xfcller"}`, "latin1");
    assert.throws(() => parseCloudEvent({ headers: {}, contentType: "application/cloudevents+json", body: latin1 }), {
      code: "MF_CLOUDEVENT",
    });
  });

  test("an attribute that comes twice is no attribute", () => {
    const headers = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": ["t", "u"] };
    assert.throws(() => parseCloudEvent({ headers, contentType: "", body: new Uint8Array() }), {
      message: /attribute type occurs 2 times/,
    });
  });

  test("header values lose their quotes, then one round of percent-encoding; what is not UTF-8 then is refused (3.1.3.2)", () => {
    const parse = (value: string): HeaderValue | undefined =>
      parseCloudEvent({
        headers: { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-x": value },
        contentType: "",
        body: new Uint8Array(),
      })?.headers["ce-x"];
    for (const [value, expected] of [
      ["plain", "plain"],
      [`"quoted"`, "quoted"],
      [`"a \\"b\\" \\\\ c"`, `a "b" \\ c`],
      [`""`, ""],
      [`"`, `"`],
      [`a"b"`, `a"b"`],
      ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \u{1f600}"],
      ["%e2%82%ac", "\u20ac"],
      ["%41%2541", "A%41"],
      [`"%22in%22"`, `"in"`],
      ["100%", "100%"],
      ["%zz%4", "%zz%4"],
    ] as const)
      assert.equal(parse(value), expected, value);
    for (const value of ["%C0%A0", "%FF", "a%80", "%ED%A0%80", "%E2%82", "%0A", "%00", "%7f", "%C2%85", `"%C0%A0"`])
      assert.throws(() => parse(value), { code: "MF_CLOUDEVENT" }, value);
  });

  test("what is no CloudEvent is left alone; a batch is refused", () => {
    assert.equal(parseCloudEvent({ headers: { "x-a": "1" }, contentType: "application/json", body: new Uint8Array() }), undefined);
    const batch = { headers: {}, contentType: "application/cloudevents-batch+json", body: Buffer.from("[]") };
    assert.throws(() => parseCloudEvent(batch), { code: "MF_CLOUDEVENT" });
  });
});
