/** Certificates of a TLS server: one for each name, read again when their files change, so that a renewal needs no restart. */
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { createSecureContext, type SecureContext, type SecureContextOptions, type Server, type TlsOptions } from "node:tls";
import { type Clock, CodedError } from "#base";
import type { CertificateConfig, TlsServerConfig } from "../contract/config.ts";
import type { Logger } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";

export interface CertificatePorts {
  readonly tls: TlsServerConfig;
  /** Folder the paths in `tls` start from. */
  readonly base: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Files = ReadonlyMap<string, Buffer>;

interface NamedContext {
  readonly certificate: X509Certificate;
  readonly context: SecureContext;
}

/** Contents of the files, ready for connections. */
interface Material {
  readonly fingerprint: string;
  readonly first: SecureContextOptions;
  readonly contexts: readonly NamedContext[];
}

function unreadable(path: string, cause: unknown): CodedError {
  return new CodedError("MF_TLS_FILE", `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

export class Certificates {
  readonly #ports: CertificatePorts;
  #material: Material;
  #cancel: (() => void) | undefined;
  #isWatching = false;
  /** Fingerprint or error of the last files that could not be used: it is logged once. */
  #refused: string | undefined;

  /** Reads the files. Throws MF_TLS_FILE. */
  constructor(ports: CertificatePorts) {
    this.#ports = ports;
    const files = new Map<string, Buffer>();
    for (const path of this.#paths) {
      try {
        files.set(path, readFileSync(resolve(ports.base, path)));
      } catch (cause) {
        throw unreadable(path, cause);
      }
    }
    this.#material = this.#read(files);
  }

  /** Options of the server. A caller without a certificate, or with a bad one, is let in: its route decides. */
  get options(): TlsOptions {
    const { clientCa, certificates } = this.#ports.tls;
    return {
      ...this.#material.first,
      requestCert: clientCa !== undefined,
      rejectUnauthorized: false,
      ...(certificates.length === 0 ? {} : { SNICallback: (name, done) => done(null, this.#contextOf(name)) }),
    };
  }

  /** Looks at the files now and then, until `unwatch`. */
  watch(server: Pick<Server, "setSecureContext">): void {
    this.#isWatching = true;
    this.#cancel = this.#ports.clock.after(gatewayLimits.certificatesMs, () => {
      void this.#refresh(server).then(() => {
        if (this.#isWatching) this.watch(server);
      });
    });
  }

  unwatch(): void {
    this.#isWatching = false;
    this.#cancel?.();
  }

  /** Never rejects: while the files can't be used, the previous certificates are. */
  async #refresh(server: Pick<Server, "setSecureContext">): Promise<void> {
    try {
      const files = new Map<string, Buffer>();
      for (const path of this.#paths) {
        const bytes = await readFile(resolve(this.#ports.base, path)).catch((cause: unknown) => {
          throw unreadable(path, cause);
        });
        files.set(path, bytes);
      }
      if (fingerprintOf(files) === this.#material.fingerprint) return;
      const material = this.#read(files);
      server.setSecureContext(material.first);
      this.#material = material;
      this.#refused = undefined;
      this.#ports.logger.info({}, "the TLS certificates were read again: their files have changed");
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (text === this.#refused) return;
      this.#refused = text;
      this.#ports.logger.error(
        { code: "MF_TLS_FILE" },
        `the TLS files have changed, and the previous certificates stay in use: ${text}: put a certificate and its key there`,
      );
    }
  }

  get #paths(): readonly string[] {
    const { clientCa, certificates, cert, key } = this.#ports.tls;
    const all = [{ cert, key }, ...certificates].flatMap((each) => [each.cert, each.key]);
    return [...new Set(clientCa === undefined ? all : [...all, clientCa])];
  }

  /** Throws MF_TLS_FILE for a key that is another certificate's, and the like. */
  #read(files: Files): Material {
    const { clientCa, certificates, minVersion, cert, key } = this.#ports.tls;
    const common = { minVersion, ...(clientCa === undefined ? {} : { ca: files.get(clientCa) }) };
    const read = (each: CertificateConfig): { readonly options: SecureContextOptions; readonly named: NamedContext } => {
      const chain = files.get(each.cert) ?? Buffer.alloc(0);
      const options: SecureContextOptions = { ...common, cert: chain, key: files.get(each.key) };
      try {
        return { options, named: { certificate: new X509Certificate(chain), context: createSecureContext(options) } };
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new CodedError("MF_TLS_FILE", `cannot use ${each.cert} with ${each.key}: ${why}`, { cause });
      }
    };
    const first = read({ cert, key });
    return {
      fingerprint: fingerprintOf(files),
      first: first.options,
      contexts: [first.named, ...certificates.map((each) => read(each).named)],
    };
  }

  /** The context for a name; of one that no certificate has, the first. */
  #contextOf(name: string): SecureContext | undefined {
    const { contexts } = this.#material;
    return (contexts.find(({ certificate }) => certificate.checkHost(name) !== undefined) ?? contexts[0])?.context;
  }
}

function fingerprintOf(files: Files): string {
  const hash = createHash("sha256");
  for (const bytes of files.values()) hash.update(String(bytes.length)).update("\0").update(bytes);
  return hash.digest("hex");
}
