/** A gateway to which functions can be deployed, with images that name a script: for tests. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Agent, fetch, type Response } from "undici";
import { defaultFlowLimits, type FlowLimits } from "#abi";
import { CodedError } from "#base";
import type { GatewayPorts } from "../../gateway.ts";
import type { Script } from "../../testing/scripted.ts";
import { type Rig, withGateway } from "../../testing/rig.ts";
import type { FunctionImages } from "../ports.ts";
import type { FunctionBuilder } from "../workshop.ts";

/** Contents of an image. */
export interface FakeImage {
  readonly script: string;
  readonly outlets?: readonly string[];
  readonly limits?: Partial<FlowLimits>;
  /** Makes two images of one script differ. */
  readonly salt?: number;
}

export function imageBytes(image: FakeImage): Uint8Array {
  return Buffer.from(JSON.stringify(image));
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function read(bytes: Uint8Array): FakeImage {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as FakeImage;
  } catch {
    throw new CodedError("MF_IMAGE_CORRUPT", "the image can't be used: it is not JSON");
  }
}

/** `loaded`: by hash, how often each image is loaded now. */
export function fakeImages(loaded: Map<string, number> = new Map()): FunctionImages {
  return {
    check(bytes) {
      const { outlets, limits } = read(bytes);
      const shortage = (memoryBytes: number): string | undefined => (memoryBytes < 2 ** 20 ? "a machine has too little memory" : undefined);
      return { sha256: hashOf(bytes), outlets, limits: { ...defaultFlowLimits, ...limits }, shortage };
    },
    open: async () => undefined,
    async load(file) {
      const bytes = readFileSync(file);
      const { script, outlets, limits } = read(bytes);
      const sha256 = hashOf(bytes);
      loaded.set(sha256, (loaded.get(sha256) ?? 0) + 1);
      return { image: { name: script, sha256 }, outlets, limits: { ...defaultFlowLimits, ...limits } };
    },
    unload: ({ sha256 }) => void loaded.set(sha256, (loaded.get(sha256) ?? 0) - 1),
  };
}

export interface Answered {
  readonly status: number;
  readonly etag: string | null;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface Ask {
  readonly body?: string | Uint8Array | object;
  readonly headers?: Readonly<Record<string, string>>;
}

async function answered(response: Response): Promise<Answered> {
  const text = await response.text();
  return { status: response.status, etag: response.headers.get("etag"), value: text === "" ? {} : (JSON.parse(text) as Answered["value"]) };
}

function bodyOf(body: Ask["body"]): string | Uint8Array | undefined {
  return typeof body === "object" && !(body instanceof Uint8Array) ? JSON.stringify(body) : body;
}

export class Platform {
  readonly rig: Rig;
  readonly loaded: ReadonlyMap<string, number>;
  readonly #agent: Agent;
  readonly #yaml: string;

  constructor(
    rig: Rig,
    { loaded, agent, yaml }: { readonly loaded: ReadonlyMap<string, number>; readonly agent: Agent; readonly yaml: string },
  ) {
    this.rig = rig;
    this.loaded = loaded;
    this.#agent = agent;
    this.#yaml = yaml;
  }

  /** Changes the file of tenants, and has the gateway read it again. */
  async changeTenants(change: (text: string) => string): Promise<void> {
    const file = join(this.rig.dir, "tenants.yaml");
    await writeFile(file, change(await readFile(file, "utf8")));
    await this.rig.gateway.reload(this.rig.config(this.#yaml));
  }

  /** Asks as the operator, through the socket. */
  async ask(method: string, path: string, { body, headers }: Ask = {}): Promise<Answered> {
    return answered(await this.rig.admin(`/api/${path}`, { method, body: bodyOf(body) ?? null, headers: headers ?? {} }));
  }

  /** Asks with a tenant's key, over TCP. */
  async askAs(key: string, method: string, path: string, { body, headers }: Ask = {}): Promise<Answered> {
    const url = `http://127.0.0.1:${this.rig.gateway.admin.address?.port}/api/${path}`;
    const init = { method, body: bodyOf(body) ?? null, headers: { ...headers, authorization: `Bearer ${key}` }, dispatcher: this.#agent };
    return answered(await fetch(url, init));
  }

  /** Uploads and deploys; as the operator, or with a key. */
  async deploy(name: string, image: FakeImage, { fragment, canary, key, headers }: Deployment = {}): Promise<Answered> {
    const bytes = imageBytes(image);
    const sha256 = `sha256:${hashOf(bytes)}`;
    const ask = (method: string, path: string, more: Ask): Promise<Answered> =>
      key === undefined ? this.ask(method, path, more) : this.askAs(key, method, path, more);
    const uploaded = await ask("PUT", `images/${sha256}`, { body: bytes });
    if (uploaded.status !== 201) return uploaded;
    return await ask("PUT", `functions/${name}`, { body: { image: sha256, fragment, canary }, headers: headers ?? {} });
  }

  async call(path: string, body = ""): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${this.rig.url}${path}`, { method: "POST", body, dispatcher: this.#agent });
    return { status: response.status, text: await response.text() };
  }
}

export interface Deployment {
  readonly fragment?: string;
  readonly canary?: number;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface PlatformOptions {
  /** Text of the file of tenants. */
  readonly tenants?: string;
  /** Below the other settings of mayfly.yaml. */
  readonly yaml?: string;
  /** True: messages are recorded. */
  readonly history?: boolean;
  readonly builder?: FunctionBuilder;
  readonly ports?: Partial<GatewayPorts>;
}

/** Starts a gateway with functions, runs the test, stops it. */
export async function withPlatform(
  scripts: Readonly<Record<string, Script>>,
  run: (platform: Platform) => Promise<void>,
  { tenants, yaml = "flows: {}", history = false, builder, ports = {} }: PlatformOptions = {},
): Promise<void> {
  const loaded = new Map<string, number>();
  const agent = new Agent();
  const functions = tenants === undefined ? "{ dir: functions }" : "{ dir: functions, tenants: tenants.yaml }";
  try {
    const whole = `http: { port: 0, admin: { port: 0, token: operators-token } }\nfunctions: ${functions}\n${yaml}`;
    await withGateway(whole, scripts, (rig) => run(new Platform(rig, { loaded, agent, yaml: whole })), {
      ports: { ...ports, functions: { images: fakeImages(loaded), builder, environment: {} } },
      history,
      before: async (dir) => (tenants === undefined ? undefined : await writeFile(join(dir, "tenants.yaml"), tenants)),
    });
  } finally {
    await agent.destroy();
  }
}
