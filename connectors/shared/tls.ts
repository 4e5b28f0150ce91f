/** TLS options, the same for every broker. Files are read at each connect: a renewed certificate needs no restart. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CodedError } from "#base";
import type { ConnectorContext, JsonSchema } from "#gateway/contract";

export interface TlsConfig {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly rejectUnauthorized: boolean;
  readonly servername?: string;
}

export interface TlsMaterial {
  ca?: string;
  cert?: string;
  key?: string;
  passphrase?: string;
  rejectUnauthorized: boolean;
  servername?: string;
}

export const tlsSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  description: "TLS, with PEM files relative to mayfly.yaml. Needed only for a private certificate authority or a client certificate.",
  properties: {
    ca: { type: "string", description: "File of the trusted certificate authorities; replaces the system's." },
    cert: { type: "string", description: "File of the client certificate." },
    key: { type: "string", description: "File of the client certificate's key." },
    passphrase: { type: "string", description: "Passphrase of the key." },
    rejectUnauthorized: { type: "boolean", default: true, description: "false: trust any certificate. For experiments only." },
    servername: { type: "string", description: "Name expected in the certificate, if it is not the host of the url." },
  },
  dependentRequired: { cert: ["key"], key: ["cert"] },
};

/** Throws MF_CONFIG_TLS for TLS options beside a url that connects without TLS: they would be ignored, and everything be sent in the open. */
export function checkTls(url: string, tls: TlsConfig | undefined, secure: Readonly<Record<string, string>>): void {
  const scheme = /^[a-z]+:/i.exec(url)?.[0].toLowerCase() ?? "";
  const instead = secure[scheme];
  if (tls !== undefined && instead !== undefined)
    throw new CodedError("MF_CONFIG_TLS", `tls is set, but ${scheme}// connects without TLS: write ${instead}//, or remove tls`);
}

/** Throws MF_TLS_FILE, retried like any failure to connect: the file may be put there yet. */
export async function readTls(config: TlsConfig | undefined, context: Pick<ConnectorContext, "base">): Promise<TlsMaterial | undefined> {
  if (config === undefined) return undefined;
  const read = async (name: string): Promise<string> => {
    try {
      return await readFile(resolve(context.base, name), "utf8");
    } catch (cause) {
      throw new CodedError("MF_TLS_FILE", `the TLS file ${name} can't be read: check the path under tls:`, { cause });
    }
  };
  const material: TlsMaterial = { rejectUnauthorized: config.rejectUnauthorized };
  if (config.ca !== undefined) material.ca = await read(config.ca);
  if (config.cert !== undefined) material.cert = await read(config.cert);
  if (config.key !== undefined) material.key = await read(config.key);
  if (config.passphrase !== undefined) material.passphrase = config.passphrase;
  if (config.servername !== undefined) material.servername = config.servername;
  return material;
}
