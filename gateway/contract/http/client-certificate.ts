/** Certificates that callers show (TLS client authentication), once the server has checked who signed them. */
import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type PeerCertificate, TLSSocket } from "node:tls";
import type { JsonSchema } from "../connector.ts";

export interface MtlsConfig {
  /** Subjects that may call; empty: whoever has a certificate. */
  readonly subjects: readonly string[];
}

export const mtlsSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  description:
    "A certificate that an authority of `http.tls.clientCa` has signed. Its subject reaches the flow as the header `mayfly-caller`, in the form of RFC 4514 (`CN=ada,O=Shop`), more of it as `msg.claims`.",
  properties: {
    subjects: {
      type: "array",
      items: { type: "string", minLength: 1 },
      default: [],
      description: "Subjects that may call, whole (`CN=ada,O=Shop`). Default: every one the authorities have signed.",
      examples: [["CN=ada,O=Shop"]],
    },
  },
};

export interface ClientCertificate {
  /** As RFC 4514 writes it: the most specific part first. */
  readonly subject: string;
  readonly issuer: string;
  readonly claimsJson: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** OpenSSL's lines, from the outermost part, with special characters escaped as RFC 4514 has it. */
function nameOf(lines: string): string {
  return lines.split("\n").reverse().join(",");
}

function read(certificate: X509Certificate, { subject }: PeerCertificate): ClientCertificate {
  const named = { subject: nameOf(certificate.subject), issuer: nameOf(certificate.issuer) };
  const { serialNumber, fingerprint256, subjectAltName, validTo } = certificate;
  return {
    ...named,
    claimsJson: JSON.stringify({ ...named, name: { ...subject }, serialNumber, fingerprint256, subjectAltName, validTo }),
    fromMs: Date.parse(certificate.validFrom),
    untilMs: Date.parse(validTo),
  };
}

/** Of connections, which have many requests. */
const known = new WeakMap<TLSSocket, ClientCertificate>();

/** The good certificate of a request's connection, also by now; undefined without one. */
export function clientCertificate({ socket }: Pick<IncomingMessage, "socket">, nowMs: number): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  let found = known.get(socket);
  if (found === undefined) {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return undefined;
    known.set(socket, (found = read(certificate, socket.getPeerCertificate())));
  }
  return nowMs >= found.fromMs && nowMs <= found.untilMs ? found : undefined;
}
