/** Dead letters, wherever they are: in the folder mayfly.yaml names, or behind a running gateway. */
import { resolve } from "node:path";
import { type BodyStore, configuredBodyStore, type DeadLetter, DeadLetters, letterBody, readPlaces, storedBodyOf } from "#gateway";
import { AdminClient, type GatewayFlags } from "./admin.ts";

export { storedBodyOf };

export interface FoundLetter {
  readonly letter: DeadLetter;
  readonly body: Uint8Array;
}

export interface LetterStore {
  list(flow: string | undefined): AsyncIterable<DeadLetter>;
  read(id: string): Promise<FoundLetter | undefined>;
  remove(id: string): Promise<boolean>;
  /** The body in pieces, also of a letter whose body is in the body store. */
  body(found: FoundLetter): Promise<AsyncIterable<Uint8Array>>;
}

interface BodyJson {
  readonly text?: string;
  readonly base64?: string;
}

function letterPath(id: string): string {
  return `/-/dead-letters/${id.split("/").map(encodeURIComponent).join("/")}`;
}

class RemoteLetters implements LetterStore {
  readonly #client: AdminClient;

  constructor(client: AdminClient) {
    this.#client = client;
  }

  async *list(flow: string | undefined): AsyncIterable<DeadLetter> {
    const query = flow === undefined ? "" : `&flow=${encodeURIComponent(flow)}`;
    yield* (await this.#client.get("GET", `/-/dead-letters?limit=10000${query}`)) as DeadLetter[];
  }

  async read(id: string): Promise<FoundLetter | undefined> {
    const { status, value } = await this.#client.ask("GET", letterPath(id));
    if (status === 404) return undefined;
    const { body, ...letter } = value as DeadLetter & { body: BodyJson };
    return { letter, body: body.text === undefined ? Buffer.from(body.base64 ?? "", "base64") : Buffer.from(body.text) };
  }

  async remove(id: string): Promise<boolean> {
    return (await this.#client.ask("DELETE", letterPath(id))).status === 200;
  }

  body({ letter }: FoundLetter): Promise<AsyncIterable<Uint8Array>> {
    return this.#client.pieces(`${letterPath(letter.id)}/body`);
  }
}

class FolderLetters implements LetterStore {
  readonly #letters: DeadLetters;
  readonly #bodyStore: BodyStore | undefined;

  constructor(letters: DeadLetters, bodyStore: BodyStore | undefined) {
    this.#letters = letters;
    this.#bodyStore = bodyStore;
  }

  list(flow: string | undefined): AsyncIterable<DeadLetter> {
    return this.#letters.list(flow);
  }

  read(id: string): Promise<FoundLetter | undefined> {
    return this.#letters.read(id);
  }

  remove(id: string): Promise<boolean> {
    return this.#letters.remove(id);
  }

  async body(found: FoundLetter): Promise<AsyncIterable<Uint8Array>> {
    return (await letterBody(found, this.#bodyStore)).stream;
  }
}

/** The gateway when one is named, the folder otherwise: it can be read while nothing runs. */
export async function openLetters(flags: GatewayFlags, env: Readonly<Record<string, string | undefined>>): Promise<LetterStore> {
  if (flags.gateway !== undefined || env["MAYFLY_GATEWAY"] !== undefined) return new RemoteLetters(await AdminClient.open(flags, env));
  const places = await readPlaces(flags.config, env);
  return new FolderLetters(new DeadLetters(resolve(places.base, places.deadLetters.dir)), configuredBodyStore(places));
}

export interface RetryOutcome {
  readonly status: string;
  /** Of one that was given up again. */
  readonly failure?: { readonly code: string; readonly message: string };
  readonly code?: string;
  readonly message?: string;
}

export interface Retry {
  readonly body: Uint8Array | undefined;
  /** Wait a moment for the end of the message. */
  readonly wait: boolean;
}

/** Retries a letter; undefined when it is unknown. Only a running gateway can. */
export async function retryLetter(
  flags: GatewayFlags,
  env: Readonly<Record<string, string | undefined>>,
  id: string,
  { body, wait }: Retry,
): Promise<RetryOutcome | undefined> {
  const client = await AdminClient.open(flags, env);
  const { status, value } = await client.ask(
    "POST",
    `${letterPath(id)}/retry?wait=${wait}${body === undefined ? "" : "&edit=true"}`,
    body ?? new Uint8Array(0),
  );
  if (status === 404) return undefined;
  const { detail, ...outcome } = value as RetryOutcome & { detail?: string };
  return typeof outcome.status === "string"
    ? outcome
    : {
        status: "refused",
        message: detail ?? `the gateway answered ${status}`,
        ...(outcome.code === undefined ? {} : { code: outcome.code }),
      };
}
