/** TLS against a real listener: an unknown authority is refused, a known one accepted, a client certificate shown. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import type { OutletDefinition } from "../../gateway/contract/outlet.ts";
import { installed } from "./brokers.ts";
import { makeCertificates } from "./certificates.ts";
import { attemptOf, outgoing, startOutlet } from "./rig.ts";

export interface TlsCase {
  readonly name: string;
  /** The reason why the server can't be started. */
  readonly skip: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly outlet: OutletDefinition<any>;
  /** A listener that wants a client certificate of this authority. */
  open(certificates: string): Promise<{ readonly port: number; remove(): Promise<void> }>;
  config(port: number): object;
  readonly code: string;
}

export function tlsCase({ name, skip, outlet, open, config, code }: TlsCase): void {
  describe(`${name}: tls`, { skip: installed("openssl") ? skip : "no openssl", timeout: 60_000 }, () => {
    let dir: string;
    /** The server's certificate here is for a name that is not the host of the url. */
    let named: string;
    before(async () => {
      ({ dir } = await makeCertificates());
      ({ dir: named } = await makeCertificates("DNS:broker.test"));
    });
    after(async () => {
      for (const each of [dir, named]) await rm(each, { recursive: true });
    });

    test("it trusts only whom it is told to", async () => {
      const server = await open(dir);
      try {
        const strict = await startOutlet(outlet, config(server.port));
        assert.equal(strict.outlet.health().ready, false);
        assert.ok(strict.outlet.health().detail.startsWith(`${code}: `), strict.outlet.health().detail);
        await strict.outlet.stop();
        const files = { ca: "ca.pem", cert: "client.pem", key: "client.key" };
        const known = await startOutlet(outlet, { ...config(server.port), tls: files }, dir);
        assert.equal(known.outlet.health().ready, true, known.outlet.health().detail);
        await known.outlet.send(outgoing("x"), attemptOf());
        await known.outlet.stop();
        const absent = await startOutlet(outlet, { ...config(server.port), tls: { ca: "absent.pem" } }, dir);
        assert.match(absent.outlet.health().detail, /^MF_TLS_FILE: .*absent\.pem/);
        await absent.outlet.stop();
      } finally {
        await server.remove();
      }
    });

    test("the certificate must be for the host of the url, or for servername", async () => {
      const server = await open(named);
      const files = { ca: "ca.pem", cert: "client.pem", key: "client.key" };
      try {
        for (const servername of [undefined, "localhost", "other.test"]) {
          const tls = servername === undefined ? files : { ...files, servername };
          const refused = await startOutlet(outlet, { ...config(server.port), tls }, named);
          assert.ok(refused.outlet.health().detail.startsWith(`${code}: `), `${servername}: ${refused.outlet.health().detail}`);
          await refused.outlet.stop();
        }
        const right = await startOutlet(outlet, { ...config(server.port), tls: { ...files, servername: "broker.test" } }, named);
        assert.equal(right.outlet.health().ready, true, right.outlet.health().detail);
        await right.outlet.stop();
      } finally {
        await server.remove();
      }
    });
  });
}
