/** Signatures against those that AWS publishes: the examples of the S3 API reference, and of the Signature Version 4 test suite. */
import { equal, match } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { awsEncoded, emptyPayload, presignedQuery, sha256, signedHeaders, type Unsigned } from "./sigv4.ts";

/** AWS's own example of a key. */
const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const s3 = { credentials, scope: { region: "us-east-1", service: "s3" }, timeMs: Date.UTC(2013, 4, 24) };
const host = "examplebucket.s3.amazonaws.com";
const bare: Unsigned = { method: "GET", host, path: "/", query: [], headers: {}, payload: emptyPayload };

const signature = (request: Partial<Unsigned>): string =>
  /Signature=([0-9a-f]{64})$/.exec(signedHeaders({ ...bare, ...request }, s3)["authorization"] ?? "")?.[1] ?? "";

test("requests of the S3 API reference", () => {
  equal(
    signature({ path: "/test.txt", headers: { range: "bytes=0-9" } }),
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
  const headers = { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" };
  equal(
    signature({ method: "PUT", path: `/${awsEncoded("test$file.text", "/")}`, headers, payload: sha256("Welcome to Amazon S3.") }),
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  );
  equal(signature({ query: [["lifecycle", ""]] }), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  const query = [["prefix", "J"] as const, ["max-keys", "2"] as const];
  equal(signature({ query }), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
});

test("the link of the S3 API reference", () => {
  const link = presignedQuery({ ...bare, path: "/test.txt" }, { ...s3, expiresSeconds: 86_400 });
  match(link, /&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/);
});

test("the plainest request of AWS's test suite, of another service", () => {
  const timeMs = Date.UTC(2015, 7, 30, 12, 36);
  const own = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
  const scope = { region: "us-east-1", service: "service" };
  const headers = signedHeaders({ ...bare, host: "example.amazonaws.com" }, { credentials: own, scope, timeMs });
  equal(
    headers["authorization"],
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
  );
});

test("any text is encoded so that it decodes to itself, with unreserved characters only", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (text) => {
      const encoded = awsEncoded(text);
      match(encoded, /^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/);
      equal(decodeURIComponent(encoded), Buffer.from(text).toString());
    }),
  );
});
