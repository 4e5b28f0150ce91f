/** Rules for what a flow may fetch, checked before anything is sent. */
import { deepEqual, throws } from "node:assert/strict";
import { test } from "node:test";
import { checkFetch } from "./fetch-rules.ts";

const hosts = [{ host: "api.example.com", wildcard: false, port: undefined }];
const check = (url: string, method = ""): { readonly url: URL; readonly method: string } => checkFetch({ url, method, flow: "f" }, hosts);

test("a declared host, by GET unless the flow says otherwise", () => {
  deepEqual([check("https://api.example.com/a").method, check("https://api.example.com/a", "post").method], ["GET", "POST"]);
});

test("MF_METHOD_INVALID: no tunnels, and no malformed methods", () => {
  for (const method of ["CONNECT", "connect", "GET /x", "G\nET", "X".repeat(33)])
    throws(() => check("https://api.example.com/", method), { code: "MF_METHOD_INVALID" });
});

test("MF_URL_INVALID, MF_HOST_NOT_DECLARED: what is no URL, holds a password, or leads elsewhere", () => {
  for (const url of ["/a", "not a url", "https://u:p@api.example.com/"]) throws(() => check(url), { code: "MF_URL_INVALID" });
  for (const url of ["https://example.com/", "ftp://api.example.com/", "https://api.example.com:8443/"])
    throws(() => check(url), { code: "MF_HOST_NOT_DECLARED", message: /flows\.f\.hosts/ });
});

test("without a mayfly.yaml every host may be fetched", () => {
  deepEqual(checkFetch({ url: "https://any.example/", method: "", flow: "f" }, undefined).url.host, "any.example");
});
