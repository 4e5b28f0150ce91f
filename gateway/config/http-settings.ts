/** The sections `http` and `fetch` of mayfly.yaml: the gateway's server, and connections of flows. */
import type { JsonSchema } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { network } from "../contract/units.ts";
import { object, section, text, whole } from "./schema-parts.ts";

const certificate: Readonly<Record<string, JsonSchema>> = {
  cert: text("PEM file of the certificate chain."),
  key: text("PEM file of the private key."),
};

export const httpSchema: JsonSchema = section("The gateway's HTTP server.", {
  port: whole("Port; 0 picks a free one.", 0, 65_535, 8080),
  host: text("Address to listen on.", "127.0.0.1"),
  connectionsPerAddress: whole(
    "Maximum number of connections from one IPv4 address or IPv6 /64; more are closed. Raise it behind a proxy, whose callers share one address.",
    1,
    gatewayLimits.httpConnections,
    gatewayLimits.httpConnectionsPerAddress,
  ),
  proxies: section("Proxies before the gateway, which say who a request is from: for `allow` and `rateLimit` of HTTP sources.", {
    trusted: {
      type: "array",
      description: "Addresses and networks of the proxies that are believed. Default: none.",
      default: [],
      maxItems: 256,
      items: network("A proxy's address, or its network."),
    },
    header: {
      type: "string",
      enum: ["x-forwarded-for", "forwarded"],
      default: "x-forwarded-for",
      description:
        "Header in which each proxy appends the address it got the request from. Of several addresses the right-most counts that is not a trusted proxy's.",
    },
  }),
  tls: object(
    "Serve HTTPS, with HTTP/2 to clients that ask for it and HTTP/1.1 to others. Files are read again when they change.",
    {
      ...certificate,
      certificates: {
        type: "array",
        description: "More certificates: a caller gets the one for the name it asked for (SNI), or else `cert`.",
        default: [],
        maxItems: gatewayLimits.certificates,
        items: object("One certificate.", certificate, ["cert", "key"]),
      },
      minVersion: {
        type: "string",
        enum: ["TLSv1.2", "TLSv1.3"],
        default: "TLSv1.2",
        description: "Oldest version of TLS that is spoken.",
      },
      clientCa: text("PEM file of the authorities that sign callers' certificates, for `auth: { mtls }` of HTTP sources."),
    },
    ["cert", "key"],
  ),
  openapi: {
    type: "string",
    pattern: "^(?:off|(?:/[A-Za-z0-9._~-]+)*/[A-Za-z0-9_~-][A-Za-z0-9._~-]*\\.json)$",
    patternErrorMessage: "must be a path that ends in .json, or off",
    default: "/openapi.json",
    description:
      "Path of the OpenAPI document of the contracts that HTTP sources serve (`openapi`), for everybody who reaches `port`; a page to try it is at the same path without .json. off: neither.",
    examples: ["/docs/api.json", "off"],
  },
  metrics: {
    type: "string",
    enum: ["public", "admin"],
    default: "public",
    description: "public: serve /metrics on `port` too. admin: serve it only with the admin endpoints.",
  },
  admin: {
    ...object(
      "Admin endpoints, used by `mayfly send` and `mayfly dlq`: a UNIX socket in the journal's folder that only the gateway's user can open, and a TCP port if one is set, where the page is served as well.",
      {
        enabled: { type: "boolean", default: true, description: "false: neither socket nor port." },
        port: whole("TCP port of the admin endpoints; needs `token`. 0 picks a free one.", 0, 65_535),
        host: text("Address that `port` listens on.", "127.0.0.1"),
        hosts: {
          type: "array",
          description:
            "Names under which callers reach `port`, besides IP addresses and localhost: gateway.internal. A request for another name is refused.",
          default: [],
          maxItems: 32,
          items: text("A name."),
        },
        token: text("Bearer token required on `port`; /ready on http.port shows its details to a caller with this token."),
      },
    ),
    default: {},
  },
});

export const fetchSchema: JsonSchema = section(
  "Connections of flows' `fetch`. For outlets see the settings of `http` among the connectors.",
  {
    proxy: {
      ...text(
        "HTTP proxy through which flows fetch, by CONNECT, except from hosts that the environment variable NO_PROXY names. `user:password@` in it is for the proxy.",
      ),
      pattern: "^https?://",
      patternErrorMessage: "must begin with http:// or https://",
      examples: ["http://proxy.example.com:3128"],
    },
    networks: {
      type: "array",
      maxItems: 256,
      description:
        "Networks inside of which hosts of `fetch` may be, besides the public internet: `[]` for none. Addresses of this computer are named one by one. Default: hosts may be anywhere. Not with `proxy`.",
      items: network("A network."),
    },
    ca: { ...text("PEM file of the trusted certificate authorities; replaces the system's."), examples: ["tls/company-ca.pem"] },
  },
);
