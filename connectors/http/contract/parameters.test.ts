/** Parameters and forms as they are written by other rules than those that read them. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JsonSchema } from "#gateway/contract";
import { multipartForm, urlencodedForm } from "./forms.ts";
import type { ContractParameter, Place } from "./model.ts";
import { Malformed, readParameters } from "./parameters.ts";

const nothing = { path: {}, query: "", headers: {} };
const parameter = (place: Place, schema: JsonSchema, style: string, explode: boolean): ContractParameter => ({
  name: "p",
  in: place,
  required: false,
  style,
  explode,
  json: false,
  schema,
});
const encode = encodeURIComponent;
/** Any text that has no lone surrogate, which no URL can carry. */
const texts = fc.string({ unit: "grapheme", minLength: 1 });
const integers: JsonSchema = { type: "array", items: { type: "integer" } };
const strings: JsonSchema = { type: "array", items: { type: "string" } };
const object: JsonSchema = { type: "object", additionalProperties: { type: "string" } };

function queryOf(schema: JsonSchema, style: string, explode: boolean, query: string): unknown {
  return readParameters([parameter("query", schema, style, explode)], { ...nothing, query }, {}).query["p"];
}

test("lists and objects of a query come back in every style", () => {
  fc.assert(
    fc.property(fc.array(texts, { minLength: 1 }), (list) => {
      deepEqual(queryOf(strings, "form", true, list.map((each) => `p=${encode(each)}`).join("&")), list);
      deepEqual(queryOf(strings, "form", false, `p=${list.map(encode).join()}`), list);
      deepEqual(
        queryOf(strings, "pipeDelimited", false, `p=${list.map((each) => encode(each.replace(/\|/g, "/"))).join("|")}`),
        list.map((each) => each.replace(/\|/g, "/")),
      );
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (list) => {
      deepEqual(
        queryOf(integers, "form", true, new URLSearchParams(list.map((each): [string, string] => ["p", String(each)])).toString()),
        list,
      );
      deepEqual(queryOf(integers, "spaceDelimited", false, `p=${list.join("%20")}`), list);
    }),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), texts, { minKeys: 1 }), (given) => {
      const value = { ...given };
      deepEqual(
        queryOf(
          object,
          "deepObject",
          false,
          Object.entries(value)
            .map(([name, each]) => `${encode(`p[${name}]`)}=${encode(each)}`)
            .join("&"),
        ),
        value,
      );
      deepEqual(queryOf(object, "form", false, `p=${Object.entries(value).flat().map(encode).join()}`), value);
      deepEqual(queryOf(object, "form", true, new URLSearchParams(value).toString()), value);
    }),
  );
});

test("values of path, header and cookie come back, numbers as numbers", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { minLength: 1 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      (list, number, flag) => {
        const parameters = [
          parameter("path", integers, "simple", false),
          parameter("header", { type: "number" }, "simple", false),
          parameter("cookie", { type: ["boolean", "null"] }, "form", true),
        ];
        const values = readParameters(
          parameters,
          { path: { p: list.join() }, query: "", headers: { p: JSON.stringify(number), cookie: `a=1; p=${flag}` } },
          {},
        );
        deepEqual(values, {
          path: { p: list },
          query: {},
          header: { p: number === 0 ? Number(JSON.stringify(number)) : number },
          cookie: { p: flag },
        });
      },
    ),
  );
  const coordinates: JsonSchema = { type: "object", properties: { x: { type: "integer" }, y: { type: "integer" } } };
  deepEqual(readParameters([parameter("path", coordinates, "simple", true)], { ...nothing, path: { p: "x=1,y=-2" } }, {}).path["p"], {
    x: 1,
    y: -2,
  });
  deepEqual(
    readParameters([parameter("header", coordinates, "simple", false)], { ...nothing, headers: { p: "x, 1, y, 2" } }, {}).header["p"],
    { x: 1, y: 2 },
  );
});

test("a text is a number only as JSON writes one", () => {
  for (const text of ["01", "0x1", "1.", ".5", "1e", " 1", "1 ", "NaN", "Infinity", "+1", "1_0", ""])
    equal(queryOf({ type: "integer" }, "form", true, `p=${encode(text)}`), text, text);
  equal(queryOf({ type: ["integer", "null"] }, "form", true, "p="), null);
  equal(queryOf({ anyOf: [{ type: "integer" }, { type: "string" }] }, "form", true, "p=12"), 12);
  equal(queryOf({ type: "string" }, "form", true, "p=12"), "12");
});

test("no query is more than refused", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom("form", "deepObject", "pipeDelimited", "spaceDelimited"),
      fc.boolean(),
      fc.constantFrom(integers, strings, object),
      (query, style, explode, schema) => {
        try {
          queryOf(schema, style, explode, query);
        } catch (error) {
          ok(error instanceof Malformed);
        }
      },
    ),
  );
});

const formSchema: JsonSchema = { type: "object", additionalProperties: { type: "array", items: { type: "string" } } };
const rules = { schema: formSchema, schemas: {}, parts: {} };
const names = fc.string({ unit: "grapheme", minLength: 1 }).filter((name) => !/["%\r\n]/.test(name));

test("forms that FormData and URLSearchParams write come back, files by their bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(names, texts, fc.option(fc.uint8Array())), { minLength: 1, maxLength: 8 }), async (fields) => {
      const form = new FormData();
      const expected = new Map<string, string[]>();
      for (const [name, text, bytes] of fields) {
        if (bytes === null) form.append(name, text);
        else form.append(name, new Blob([bytes]), "f");
        const value = bytes === null ? text.replace(/\r\n|\r|\n/g, "\r\n") : Buffer.from(bytes).toString("latin1");
        expected.set(name, [...(expected.get(name) ?? []), value]);
      }
      const response = new Response(form);
      const read = multipartForm(new Uint8Array(await response.arrayBuffer()), response.headers.get("content-type") ?? "", rules);
      deepEqual(read, { value: Object.fromEntries(expected) });
    }),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(texts, texts), { minLength: 1, maxLength: 8 }), (fields) => {
      const expected = new Map<string, string[]>();
      for (const [name, text] of fields) expected.set(name, [...(expected.get(name) ?? []), text]);
      deepEqual(urlencodedForm(Buffer.from(new URLSearchParams(fields).toString()), rules), { value: Object.fromEntries(expected) });
    }),
  );
});

test("a damaged form is refused, not thrown over", async () => {
  const form = new FormData();
  form.append("a", "b");
  form.append("c", new Blob(["d"]), "e");
  const response = new Response(form);
  const type = response.headers.get("content-type") ?? "";
  const whole = new Uint8Array(await response.arrayBuffer());
  fc.assert(
    fc.property(fc.nat(whole.length), fc.uint8Array({ maxLength: 40 }), (at, bytes) => {
      const damaged = Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at + bytes.length)]);
      const read = multipartForm(damaged, type, rules);
      ok("value" in read || "breach" in read);
    }),
  );
});
