/** Requests to a real HTTPS server: whom the outlet trusts, and what it shows. */
import { rejects } from "node:assert/strict";
import { copyFile, readFile, rm } from "node:fs/promises";
import { createServer as createHttpsServer } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import type { Outlet } from "../../gateway/contract/outlet.ts";
import { httpOutlet } from "./outlet.ts";
import type { TlsConfig } from "../shared/tls.ts";
import { installed } from "../testing/brokers.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { httpSettings } from "../testing/http-peer.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext } from "../testing/rig.ts";

test("https with an authority of its own and a client certificate; files that come later are found", {
  skip: installed("openssl") ? false : "no openssl",
}, async (test_) => {
  const { dir } = await makeCertificates();
  const [cert, key, ca] = await Promise.all(["server.pem", "server.key", "ca.pem"].map((name) => readFile(join(dir, name))));
  const server = createHttpsServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: true },
    (_request, response) => void response.end(),
  );
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  test_.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  const using = (tls: TlsConfig | undefined): Outlet =>
    httpOutlet.create(httpSettings(url, tls === undefined ? {} : { tls }), testContext(16, dir));
  const known = { ca: "ca.pem", rejectUnauthorized: true };
  for (const tls of [undefined, known]) {
    const outlet = using(tls);
    await rejects(outlet.send(message, attempt), { retryable: true });
    await outlet.stop();
  }
  const outlet = using({ ...known, cert: "late.pem", key: "client.key" });
  await rejects(outlet.send(message, attempt), { code: "MF_TLS_FILE", retryable: true });
  await copyFile(join(dir, "client.pem"), join(dir, "late.pem"));
  await outlet.send(message, attempt);
  await outlet.stop();
  await rm(dir, { recursive: true });
});

test("https: the certificate must be for the host of the url, or for servername", {
  skip: installed("openssl") ? false : "no openssl",
}, async (test_) => {
  const { dir } = await makeCertificates("DNS:peer.test");
  const [cert, key] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(dir, name))));
  const server = createHttpsServer({ cert, key }, (_request, response) => void response.end());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  test_.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  const sendWith = async (more: object): Promise<void> => {
    const outlet = httpOutlet.create(httpSettings(url, { tls: { ca: "ca.pem", rejectUnauthorized: true, ...more } }), testContext(16, dir));
    await outlet.send(message, attempt).finally(() => outlet.stop());
  };
  for (const more of [{}, { servername: "localhost" }]) await rejects(sendWith(more), { retryable: true });
  await sendWith({ servername: "peer.test" });
  await rm(dir, { recursive: true });
});
