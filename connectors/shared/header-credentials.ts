/** Credentials that are one header of every request: a token, a user and password, or a key. */
import type { JsonSchema } from "#gateway/contract";

export interface HeaderCredentials {
  readonly bearer?: string;
  /** `user:password` */
  readonly basic?: string;
  readonly apiKey?: { readonly header: string; readonly key: string };
}

const text = { type: "string", minLength: 1 } as const;

/** Properties of an `auth` of which one is given. `name`: of the settings in the examples, `ERP` for `${ERP_TOKEN}`. */
export function headerCredentialsSchema(name: string): Readonly<Record<keyof HeaderCredentials, JsonSchema>> {
  return {
    bearer: { ...text, description: "Token, sent as `Authorization: Bearer …`.", examples: [`\${${name}_TOKEN}`] },
    basic: {
      ...text,
      pattern: "^[^:]+:",
      patternErrorMessage: "must be user:password",
      description: "`user:password`, sent as `Authorization: Basic …`.",
    },
    apiKey: {
      type: "object",
      additionalProperties: false,
      required: ["key"],
      description: "A key in a header.",
      properties: {
        header: {
          type: "string",
          default: "x-api-key",
          pattern: "^[a-z0-9-]+$",
          patternErrorMessage: "must be a header name in lower case",
          description: "Name of the header.",
        },
        key: { ...text, description: "The key.", examples: [`\${${name}_KEY}`] },
      },
    },
  };
}

/** The header that shows them; none without credentials. */
export function credentialsHeader({ bearer, basic, apiKey }: HeaderCredentials): Readonly<Record<string, string>> {
  if (apiKey !== undefined) return { [apiKey.header]: apiKey.key };
  if (bearer !== undefined) return { authorization: `Bearer ${bearer}` };
  return basic === undefined ? {} : { authorization: `Basic ${Buffer.from(basic).toString("base64")}` };
}
