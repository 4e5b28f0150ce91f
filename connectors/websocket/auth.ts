/** Credentials of the handshake. */
import { CodedError } from "#base";
import { type ConnectorContext, type JsonSchema, newAgent, unsendable } from "#gateway/contract";
import { credentialsHeader, type HeaderCredentials, headerCredentialsSchema } from "../shared/header-credentials.ts";
import type { Opening } from "../shared/link.ts";
import { OAuth2Credentials, type OAuth2Config, oauth2Schema } from "../shared/oauth2.ts";

export interface SocketAuth extends HeaderCredentials {
  readonly oauth2?: OAuth2Config;
}

export const socketAuthSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  description: "Credentials of the handshake. Default: none but those in `url` and `headers`.",
  properties: {
    ...headerCredentialsSchema("FEED"),
    oauth2: oauth2Schema,
  },
};

interface Shown {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth?: SocketAuth | undefined;
}

/** Looks at what a configuration shows the peer. Throws MF_CONFIG_URL, MF_HEADER_INVALID, and what OAuth2Credentials throws. */
export function checkAuth({ url, headers, auth }: Shown, context: ConnectorContext): void {
  const ways = [url.username !== "" || url.password !== "", headers["authorization"] !== undefined, auth !== undefined && !auth.apiKey];
  if (ways.filter((way) => way).length > 1)
    throw new CodedError("MF_CONFIG_URL", "several of url, headers and auth contain credentials: keep one of them");
  const wrong = unsendable({ ...headers, ...fixedHeaders(url, auth) });
  if (wrong !== undefined)
    throw new CodedError("MF_HEADER_INVALID", `HTTP can't carry the header ${JSON.stringify(wrong)}: correct its value, or leave it out`);
  if (auth?.oauth2 !== undefined) oauth2(auth.oauth2, context, async () => newAgent(1)).close();
}

/** Headers of the handshake. Rejects with MF_OAUTH2_TOKEN. */
export async function shownHeaders(
  { url, headers, auth }: Shown,
  context: ConnectorContext,
  { own }: Opening,
): Promise<Readonly<Record<string, string>>> {
  const fixed = { ...fixedHeaders(url, auth), ...headers };
  if (auth?.oauth2 === undefined) return fixed;
  const agent = newAgent(1);
  own({ close: () => agent.destroy() });
  const credentials = own(oauth2(auth.oauth2, context, async () => agent));
  const { authorization = "" } = await credentials.headers();
  return { ...fixed, authorization: String(authorization) };
}

function oauth2(
  config: OAuth2Config,
  { clock, base, memory }: ConnectorContext,
  agent: () => Promise<ReturnType<typeof newAgent>>,
): OAuth2Credentials {
  return new OAuth2Credentials(config, { clock, base, memory: memory.answers, agent });
}

function fixedHeaders({ username, password }: URL, auth: SocketAuth | undefined): Readonly<Record<string, string>> {
  const own = credentialsHeader(auth ?? {});
  if (Object.keys(own).length > 0 || (username === "" && password === "")) return own;
  return credentialsHeader({ basic: `${decoded(username)}:${decoded(password)}` });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a plain percent sign
  }
}
